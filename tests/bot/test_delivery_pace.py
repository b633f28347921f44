"""Who goes first, who waits, and how long: the limits alone, on a clock that stands still."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bot.delivery_pace import UPDATES_BURST, UPDATES_RESERVED, Pace, lane_of
from engine.effects import Purpose
from engine.ports import Message
from tests.bot.delivering import START

ALL = 1000


def a_message(number: int, purpose: Purpose = Purpose.RESULT, **changes: Any) -> Message:
    facts: dict[str, Any] = {
        "id": number,
        "key": f"key-{number}",
        "purpose": purpose,
        "session_id": number,
        "step_number": 0,
        "ordinal": 0,
        "team": "T0DEMO",
        "channel": "C0OPS",
        "user": "",
        "revision": 1,
        "sent_revision": 0,
        "ts": "",
    }
    return Message(**(facts | changes))


def an_edit(number: int, purpose: Purpose = Purpose.CARD) -> Message:
    return a_message(number, purpose, ts="1.0", sent_revision=1, revision=2)


def ids(messages: Any) -> list[int]:
    return [message.id for message in messages]


def test_a_channel_takes_three_at_once_and_then_one_per_second() -> None:
    turns = Pace().turns([a_message(n) for n in range(1, 7)], START, most=ALL)

    assert ids(turns.go) == [1, 2, 3]
    assert [(m.id, until - START) for m, until in turns.wait] == [(n, timedelta(seconds=n - 3)) for n in (4, 5, 6)]


def test_channels_do_not_share_their_second() -> None:
    pace = Pace()
    pace.turns([a_message(n) for n in range(1, 6)], START, most=ALL)

    turns = pace.turns([a_message(9, channel="C0RANDOM")], START, most=ALL)

    assert ids(turns.go) == [9]


def test_what_people_must_decide_goes_before_what_was_wanted_earlier() -> None:
    messages = [a_message(n) for n in range(1, 5)] + [a_message(5, Purpose.GATE), a_message(6, Purpose.OUTPUT)]

    turns = Pace().turns(messages, START, most=ALL)

    assert ids(turns.go) == [5, 1, 2]
    assert ids(m for m, _ in turns.wait) == [3, 4, 6]


def test_progress_leaves_a_reserve_of_edits_for_decisions() -> None:
    pace = Pace()

    progress = pace.turns([an_edit(n) for n in range(1, 30)], START, most=ALL)
    decisions = pace.turns([an_edit(n, Purpose.GATE) for n in range(30, 60)], START, most=ALL)

    assert len(progress.go) == UPDATES_BURST - UPDATES_RESERVED
    assert len(decisions.go) == UPDATES_RESERVED


def test_edits_stay_below_forty_per_minute_in_the_whole_workspace() -> None:
    pace = Pace()
    sent = 0
    for second in range(600):
        now = START + timedelta(seconds=second)
        sent += len(pace.turns([an_edit(n, Purpose.GATE) for n in range(20)], now, most=ALL).go)

    assert sent <= UPDATES_BURST + 400


def test_one_message_that_fails_again_and_again_does_not_stop_its_channel() -> None:
    pace = Pace()
    for _ in range(5):
        pace.failed(a_message(1), START)

    assert ids(pace.turns([a_message(2)], START, most=ALL).go) == [2]


def test_when_different_messages_fail_the_channel_waits_longer_each_time() -> None:
    pace = Pace()
    for number in (1, 2, 3, 4, 5, 6, 7):
        pace.failed(a_message(number), START)

    turns = pace.turns([a_message(8)], START, most=ALL)

    assert turns.go == ()
    assert [until for _, until in turns.wait] == [START + timedelta(seconds=15)]


def test_a_success_ends_the_waiting_of_a_channel() -> None:
    pace = Pace()
    pace.failed(a_message(1), START)
    pace.failed(a_message(2), START)

    pace.succeeded(a_message(1))

    assert ids(pace.turns([a_message(3)], START, most=ALL).go) == [3]


def test_when_slack_asks_for_patience_the_lane_waits_and_others_do_not() -> None:
    pace = Pace()

    until = pace.throttled(a_message(10), START, 30)
    turns = pace.turns([a_message(11), a_message(12, channel="C0RANDOM"), an_edit(13)], START, most=ALL)

    assert until == START + timedelta(seconds=30)
    assert sorted(ids(turns.go)) == [12, 13]
    assert ids(m for m, _ in turns.wait) == [11]


def test_an_answer_through_slacks_own_address_has_no_limit() -> None:
    answers = [a_message(n, Purpose.EPHEMERAL, payload={"response_url": "https://x"}) for n in range(20)]

    turns = Pace().turns(answers, START, most=ALL)

    assert len(turns.go) == 20
    assert lane_of(answers[0]) == ("reply", "")


def test_no_more_go_than_there_are_hands() -> None:
    messages = [a_message(n, channel=f"C0{n}") for n in range(5)]

    turns = Pace().turns(messages, START, most=2)

    assert len(turns.go) == 2
    assert {until for _, until in turns.wait} <= {START + timedelta(seconds=n / 4) for n in range(1, 9)}
