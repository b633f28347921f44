"""The outbox: messages that must be shown, wanted in the same transaction as the change that they tell of.

What is wanted is collected and written once, when the transaction commits. Order is kept inside a thread: a
message waits while an earlier one was never shown, and all wait for the thread's root. Nothing here may talk to Slack.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.orm import aliased

from engine.effects import Purpose
from engine.model import Person, Place, Session
from engine.ports import Message, Reply
from storage.leases import gone
from storage.ledgers import IS_SENDING, IS_WAITING, OutboxRow
from storage.loading import FRESH
from storage.mapping import Values
from storage.transaction import Transaction

CLAIM_LOCK = 0x52554E_0002  # the number of the PostgreSQL lock under which messages are taken
ABANDONED = timedelta(seconds=60)  # who has not reported by then is dead: look the message up before sending it again


class SqlOutbox:
    """See ``engine.ports.Outbox``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._wanted: dict[str, Values] = {}
        self._sentences: dict[str, Values] = {}
        self._homes: dict[str, tuple[Values, bool]] = {}

    # ------------------------------------------------------------ wanting

    def show(self, session: Session, purpose: Purpose, *, step_number: int = 0, ordinal: int = 0) -> None:
        if session.place is None:
            return
        key = f"session/{session.id}/{purpose.value}/{step_number}/{ordinal}"
        self._wanted[key] = _new(
            key,
            purpose,
            session_id=session.id,
            step_number=step_number,
            ordinal=ordinal,
            team=session.place.team,
            channel=session.place.channel,
            wanted=session.version,
        )

    def tell(self, place: Place, person: Person, text: str, *, key: str, reply: Reply) -> None:
        payload = {"text": text, "thread_ts": reply.thread_ts, "response_url": reply.response_url}
        self._sentences[f"tell/{key}"] = _new(
            f"tell/{key}",
            Purpose.EPHEMERAL,
            team=place.team,
            channel=place.channel,
            user_id=person.user,
            payload={name: value for name, value in payload.items() if value},
        )

    def publish_home(self, person: Person, *, force: bool = False) -> None:
        key = f"home/{person}"
        earlier = self._homes.get(key)
        values = _new(key, Purpose.HOME, team=person.team, user_id=person.user)
        self._homes[key] = values, force or (earlier is not None and earlier[1])

    def flush(self) -> None:
        """Write what was wanted; people's homes last and in a fixed order, because sessions share them."""
        if self._wanted:
            self._tx.write(_raise_revision(self._tx.insert(OutboxRow)), list(self._wanted.values()))
        if self._sentences:
            once = self._tx.insert(OutboxRow).on_conflict_do_nothing(index_elements=[OutboxRow.key])
            self._tx.write(once, list(self._sentences.values()))
        for key, (values, force) in sorted(self._homes.items()):
            self._flush_home(key, values, force=force)
        self._wanted, self._sentences, self._homes = {}, {}, {}

    def _flush_home(self, key: str, values: Values, *, force: bool) -> None:
        if force:
            self._tx.write(_raise_revision(self._tx.insert(OutboxRow), revive=True), [values])
        else:
            raised = {"revision": OutboxRow.revision + 1, "state": _awake()}
            self._tx.write(update(OutboxRow).where(OutboxRow.key == key).values(raised))

    # ------------------------------------------------------------ showing

    def message(self, session_id: int, purpose: Purpose, *, step_number: int = 0, ordinal: int = 0) -> Message | None:
        self.flush()
        query = select(OutboxRow).where(
            OutboxRow.session_id == session_id,
            OutboxRow.purpose == purpose,
            OutboxRow.step_number == step_number,
            OutboxRow.ordinal == ordinal,
        )
        row = self._tx.db.execute(query, execution_options=FRESH).scalar_one_or_none()
        return _message(row) if row else None

    def claim(self, *, now: datetime, limit: int) -> tuple[Message, ...]:
        self.flush()
        self._tx.serialise(CLAIM_LOCK)
        self._recover(now)
        rows = self._tx.db.execute(_due(now, limit), execution_options=FRESH).scalars().all()
        now = self._moment(now) if rows else now
        claimed = tuple(_message(row, sending_since=now) for row in rows)
        if claimed:
            taken = update(OutboxRow).where(OutboxRow.id.in_([message.id for message in claimed]))
            self._tx.write(taken.values(state="sending", sending_since=now, sender=self._tx.owner))
        return claimed

    def holds(self, message: Message) -> bool:
        held = select(OutboxRow.id).where(*_same_claim(message), IS_SENDING)
        return self._tx.db.execute(held).one_or_none() is not None

    def orphan(self) -> None:
        self._tx.write(update(OutboxRow).where(IS_SENDING).values(state="unknown"))

    def sent(self, message: Message, *, ts: str, now: datetime) -> None:  # noqa: ARG002 - the port's signature
        newer = OutboxRow.revision > message.revision
        self._report(
            message,
            sent_revision=message.revision,
            ts=ts or message.ts,
            state=case((newer, "ready"), else_="sent"),
            tries=0,
            error="",
            not_before=None,
        )

    def postpone(self, message: Message, *, until: datetime, error: str, unknown: bool = False) -> None:
        state = "unknown" if unknown else "ready"
        self._report(message, state=state, not_before=until, error=error, tries=OutboxRow.tries + 1)

    def give_up(self, message: Message, *, error: str) -> None:
        self._report(message, state="dead", error=error, tries=OutboxRow.tries + 1)

    def stats(self) -> Mapping[str, int]:
        self.flush()
        counted = self._tx.db.execute(select(OutboxRow.state, func.count()).group_by(OutboxRow.state))
        return {state: count for state, count in counted}  # noqa: C416 - rows are no pairs for mypy

    def _report(self, message: Message, **values: object) -> None:
        # Only the claim that is still the newest one may report; a sender that was thought dead is not believed.
        self._tx.write(update(OutboxRow).where(*_same_claim(message)).values(sending_since=None, **values))

    def _recover(self, now: datetime) -> None:
        abandoned: ColumnElement[bool] = OutboxRow.sending_since <= now - ABANDONED
        if self._tx.on_postgres:
            too_long = OutboxRow.sending_since <= func.clock_timestamp() - ABANDONED
            abandoned = or_(too_long, gone(self._tx, OutboxRow.sender, OutboxRow.sending_since))
        self._tx.write(update(OutboxRow).where(IS_SENDING, abandoned).values(state="unknown"))

    def _moment(self, now: datetime) -> datetime:
        """Return the time that a claim is stamped with: where several processes claim, it is the database's."""
        if self._tx.on_postgres:
            moment: datetime = self._tx.db.execute(select(func.clock_timestamp())).scalar_one()
            return moment.astimezone(UTC)
        return now


def _same_claim(message: Message) -> tuple[ColumnElement[bool], ...]:
    return OutboxRow.id == message.id, OutboxRow.sending_since == message.sending_since


def _new(key: str, purpose: Purpose, **values: object) -> Values:
    blank: Values = {"session_id": None, "step_number": 0, "ordinal": 0, "team": "", "channel": "", "user_id": ""}
    state: Values = {"wanted": 0, "revision": 1, "sent_revision": 0, "ts": "", "payload": {}, "state": "ready"}
    return {"key": key, "purpose": purpose, **blank, **state, "tries": 0, "error": "", **values}


def _raise_revision(statement: Insert, *, revive: bool = False) -> Insert:
    """Want a message again: one revision higher, and behind what its thread already waits for."""
    still_waits = and_(OutboxRow.state != "sending", OutboxRow.revision > OutboxRow.sent_revision)
    return statement.on_conflict_do_update(
        index_elements=[OutboxRow.key],
        set_={
            "revision": OutboxRow.revision + 1,
            "state": _awake(revive=revive),
            "wanted": case((still_waits, OutboxRow.wanted), else_=statement.excluded.wanted),
        },
    )


def _awake(*, revive: bool = False) -> ColumnElement[str]:
    asleep = or_(OutboxRow.state == "sent", OutboxRow.state == "dead") if revive else OutboxRow.state == "sent"
    return case((asleep, "ready"), else_=OutboxRow.state)


def _due(now: datetime, limit: int) -> Select[OutboxRow]:
    """Select the first due message of each thread and of each person."""
    other, root = aliased(OutboxRow), aliased(OutboxRow)
    same_thread = and_(other.session_id == OutboxRow.session_id, other.id != OutboxRow.id)
    never_shown = and_(other.sent_revision == 0, other.id < OutboxRow.id, other.state != "dead")
    is_root = OutboxRow.purpose == Purpose.CARD
    blocked = select(other.id).where(same_thread, or_(other.state == "sending", and_(never_shown, ~is_root)))
    rooted = select(root.id).where(root.session_id == OutboxRow.session_id, root.purpose == Purpose.CARD, root.ts != "")
    person_busy = select(other.id).where(
        OutboxRow.session_id.is_(None),
        other.session_id.is_(None),
        other.user_id == OutboxRow.user_id,
        other.team == OutboxRow.team,
        other.state == "sending",
    )
    place = func.row_number().over(
        partition_by=[OutboxRow.session_id, OutboxRow.team, OutboxRow.user_id],
        order_by=[OutboxRow.wanted, OutboxRow.id],
    )
    due = (
        select(OutboxRow.id, place.label("place"))
        .where(
            IS_WAITING,
            or_(OutboxRow.not_before.is_(None), OutboxRow.not_before <= now),
            or_(OutboxRow.session_id.is_(None), is_root, rooted.exists()),
            ~blocked.exists(),
            ~person_busy.exists(),
        )
        .subquery()
    )
    return (
        select(OutboxRow)
        .join(due, due.c.id == OutboxRow.id)
        .where(due.c.place == 1)
        .order_by(OutboxRow.id)
        .limit(limit)
    )


def _message(row: OutboxRow, *, sending_since: datetime | None = None) -> Message:
    return Message(
        id=row.id,
        key=row.key,
        purpose=row.purpose,
        session_id=row.session_id,
        step_number=row.step_number,
        ordinal=row.ordinal,
        team=row.team,
        channel=row.channel,
        user=row.user_id,
        revision=row.revision,
        sent_revision=row.sent_revision,
        ts=row.ts,
        payload=dict(row.payload),
        state=row.state,
        tries=row.tries,
        not_before=row.not_before,
        error=row.error,
        sending_since=sending_since or row.sending_since,
    )
