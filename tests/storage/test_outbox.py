"""The outbox: what is wanted is shown, in order inside a thread, and never twice without a look first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from engine.effects import Purpose
from engine.ports import Reply
from tests.storage.builders import ANNA, BERT, NOW, PLACE, a_draft, happened, started, vote

MINUTE = timedelta(minutes=1)


def want(units, session, *wanted):
    with units() as uow:
        for purpose, *place in wanted:
            step_number, ordinal = place or (0, 0)
            uow.outbox.show(session, purpose, step_number=step_number, ordinal=ordinal)
        uow.commit()


def claim(units, now=NOW, limit=10):
    with units() as uow:
        claimed = uow.outbox.claim(now=now, limit=limit)
        uow.commit()
    return claimed


def deliver(units, message, ts, now=NOW):
    with units() as uow:
        uow.outbox.sent(message, ts=ts, now=now)
        uow.commit()


def postpone(units, message, **how):
    with units() as uow:
        uow.outbox.postpone(message, **{"until": NOW + MINUTE, "error": "ratelimited", **how})
        uow.commit()


def purposes(messages):
    return [message.purpose for message in messages]


def stored_message(units, session, purpose, step_number=0, ordinal=0):
    with units() as uow:
        return uow.outbox.message(session.id, purpose, step_number=step_number, ordinal=ordinal)


@pytest.fixture
def session(units):
    return started(units)


@pytest.fixture
def rooted(units, session):
    """A session whose card is posted."""
    want(units, session, (Purpose.CARD,))
    (card,) = claim(units)
    deliver(units, card, "1.0")
    return session


def test_session_without_a_place_wants_no_messages(units):
    session = started(units, a_draft(place=None))

    want(units, session, (Purpose.CARD,))

    assert claim(units) == ()


def test_thread_waits_for_its_root(units, session):
    want(units, session, (Purpose.GATE, 1, 1), (Purpose.CARD,), (Purpose.RESULT, 1, 1))

    first = claim(units)
    meanwhile = claim(units)
    deliver(units, first[0], "1.0")
    second = claim(units)

    assert purposes(first) == [Purpose.CARD]
    assert meanwhile == ()
    assert purposes(second) == [Purpose.GATE]


def test_thread_gives_one_message_at_a_time_in_order_of_wanting(units, rooted):
    want(units, rooted, (Purpose.GATE, 1, 1), (Purpose.RESULT, 1, 1), (Purpose.CLOSING,))
    order = []

    while claimed := claim(units):
        (message,) = claimed
        order.append(message.purpose)
        deliver(units, message, f"2.{len(order)}")

    assert order == [Purpose.GATE, Purpose.RESULT, Purpose.CLOSING]


def test_threads_do_not_wait_for_each_other(units):
    sessions = [started(units), started(units)]
    for session in sessions:
        want(units, session, (Purpose.CARD,))

    claimed = claim(units)

    assert [message.session_id for message in claimed] == [session.id for session in sessions]


def test_no_more_than_the_limit_is_claimed(units):
    for _ in range(3):
        want(units, started(units), (Purpose.CARD,))

    assert len(claim(units, limit=2)) == 2


def test_message_wanted_again_is_edited_not_posted_again(units, rooted):
    want(units, rooted, (Purpose.CARD,))

    (card,) = claim(units)

    assert (card.ts, card.revision, card.sent_revision) == ("1.0", 2, 1)


def test_message_wanted_while_it_is_sent_becomes_due_again(units, session):
    want(units, session, (Purpose.CARD,))
    (card,) = claim(units)
    want(units, session, (Purpose.CARD,))

    deliver(units, card, "1.0")

    assert [message.revision for message in claim(units)] == [2]


def test_edit_does_not_push_in_front_of_what_its_thread_already_waits_for(units, rooted):
    want(units, rooted, (Purpose.RESULT, 1, 1))
    later = happened(units, rooted, vote(rooted))
    want(units, later, (Purpose.CARD,))

    first = claim(units)

    assert purposes(first) == [Purpose.RESULT]


def test_postponed_first_post_holds_back_the_rest_of_its_thread(units, rooted):
    want(units, rooted, (Purpose.GATE, 1, 1), (Purpose.RESULT, 1, 1))
    (gate,) = claim(units)

    postpone(units, gate)

    assert claim(units) == ()
    assert purposes(claim(units, NOW + MINUTE)) == [Purpose.GATE]


def test_postponed_edit_holds_nothing_back(units, rooted):
    want(units, rooted, (Purpose.CARD,))
    (card,) = claim(units)
    postpone(units, card)

    want(units, rooted, (Purpose.RESULT, 1, 1))

    assert purposes(claim(units)) == [Purpose.RESULT]


def test_postponed_message_remembers_why_and_how_often(units, session):
    want(units, session, (Purpose.CARD,))
    (card,) = claim(units)

    postpone(units, card)

    message = stored_message(units, session, Purpose.CARD)
    assert (message.tries, message.error, message.state) == (1, "ratelimited", "ready")


def test_message_that_may_have_been_posted_is_handed_out_to_be_looked_up(units, session):
    want(units, session, (Purpose.CARD,))
    (card,) = claim(units)

    postpone(units, card, unknown=True)

    assert [message.state for message in claim(units, NOW + MINUTE)] == ["unknown"]


def holds(units, message):
    with units() as uow:
        return uow.outbox.holds(message)


def silent(database, seconds):
    """Let the process that takes messages be silent for so long, by the clock of a database that several share."""
    if database.kind == "postgresql":
        last_seen = f"clock_timestamp() - interval '{seconds} s'"
        with database.engine.begin() as connection:
            connection.execute(text("DELETE FROM replicas"))
            connection.execute(text(f"INSERT INTO replicas SELECT 'me', 'host', '1', {last_seen}, {last_seen}"))
    return NOW + timedelta(seconds=seconds)


def test_message_of_a_dead_sender_is_looked_up_after_a_minute(units, session, database):
    want(units, session, (Purpose.CARD,))
    claim(units)

    early = claim(units, silent(database, 50))
    late = claim(units, silent(database, 60))

    assert early == ()
    assert [message.state for message in late] == ["unknown"]


def test_sender_learns_that_its_message_was_taken_by_another(units, session, database):
    want(units, session, (Purpose.CARD,))
    (frozen,) = claim(units)
    before = holds(units, frozen)
    (replacement,) = claim(units, silent(database, 60))

    assert (before, holds(units, frozen), holds(units, replacement)) == (True, False, True)


def test_report_of_a_sender_that_was_replaced_is_not_believed(units, session, database):
    want(units, session, (Purpose.CARD,))
    (frozen,) = claim(units)
    (replacement,) = claim(units, silent(database, 60))

    deliver(units, frozen, "9.9", NOW + MINUTE)
    deliver(units, replacement, "1.0", NOW + MINUTE)

    assert stored_message(units, session, Purpose.CARD).ts == "1.0"


def test_parked_message_holds_back_nothing_but_the_thread_of_a_parked_root(units, rooted):
    want(units, rooted, (Purpose.GATE, 1, 1), (Purpose.RESULT, 1, 1))
    (gate,) = claim(units)

    with units() as uow:
        uow.outbox.give_up(gate, error="message_not_found")
        uow.commit()

    assert purposes(claim(units)) == [Purpose.RESULT]
    assert stored_message(units, rooted, Purpose.GATE, 1, 1).error == "message_not_found"


def test_parked_message_stays_parked_when_it_is_wanted_again(units, session):
    want(units, session, (Purpose.CARD,))
    (card,) = claim(units)
    with units() as uow:
        uow.outbox.give_up(card, error="channel_not_found")
        uow.commit()

    want(units, session, (Purpose.CARD,))

    assert claim(units) == ()


def test_sentence_for_one_person_is_told_once_and_does_not_wait_for_a_card(units, session):
    want(units, session, (Purpose.GATE, 1, 1))
    for _ in range(2):
        with units() as uow:
            uow.outbox.tell(PLACE, ANNA, "Not you.", key="click-1", reply=Reply(thread_ts="1.0"))
            uow.commit()

    (told,) = claim(units)
    deliver(units, told, "")

    assert (told.purpose, told.user, told.channel) == (Purpose.EPHEMERAL, "U_ANNA", "C_OPS")
    assert told.payload == {"text": "Not you.", "thread_ts": "1.0"}
    assert claim(units) == ()


def test_one_person_gets_one_sentence_at_a_time(units):
    with units() as uow:
        for number in range(2):
            uow.outbox.tell(PLACE, ANNA, f"{number}", key=f"a{number}", reply=Reply())
        uow.outbox.tell(PLACE, BERT, "b", key="b", reply=Reply())
        uow.commit()

    first, meanwhile = claim(units), claim(units)

    assert [message.payload["text"] for message in first] == ["0", "b"]
    assert meanwhile == ()


def test_home_is_redrawn_only_for_people_who_have_opened_it(units):
    with units() as uow:
        uow.outbox.publish_home(ANNA, force=True)
        uow.outbox.publish_home(BERT)
        uow.commit()
    (home,) = claim(units)
    deliver(units, home, "")

    with units() as uow:
        uow.outbox.publish_home(ANNA)
        uow.outbox.publish_home(BERT)
        uow.commit()

    assert [(message.purpose, message.user) for message in claim(units)] == [(Purpose.HOME, "U_ANNA")]


def test_home_opened_and_changed_in_one_transaction_is_drawn(units):
    with units() as uow:
        uow.outbox.publish_home(ANNA, force=True)
        uow.outbox.publish_home(ANNA)
        uow.commit()

    assert len(claim(units)) == 1


def test_home_that_was_parked_comes_back_when_it_is_opened_again(units):
    with units() as uow:
        uow.outbox.publish_home(ANNA, force=True)
        uow.commit()
    (home,) = claim(units)
    with units() as uow:
        uow.outbox.give_up(home, error="not_enabled")
        uow.commit()

    with units() as uow:
        uow.outbox.publish_home(ANNA, force=True)
        uow.commit()

    assert purposes(claim(units)) == [Purpose.HOME]


def test_counts_say_how_many_messages_are_in_each_state(units, rooted):
    want(units, rooted, (Purpose.GATE, 1, 1), (Purpose.RESULT, 1, 1))
    claim(units)

    with units() as uow:
        assert uow.outbox.stats() == {"sent": 1, "sending": 1, "ready": 1}
