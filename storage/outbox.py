"""The outbox: messages that must be shown, wanted in the same transaction as the change that they tell of.

What is wanted is collected and written once, when the transaction commits. Order is kept inside a thread: a
message waits while an earlier one was never shown, and all wait for the thread's root. Nothing here may talk to Slack.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

from sqlalchemy import ColumnElement, Select, Update, and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.orm import aliased

from engine.effects import Purpose
from engine.model import Person, Place, Session
from engine.ports import Message, Reply
from storage.leases import gone
from storage.ledgers import IS_SENDING, IS_WAITING, OutboxRow
from storage.loading import FRESH
from storage.mapping import Values
from storage.transaction import Transaction, insert

CLAIM_LOCK = 0x52554E_0002  # the number of the PostgreSQL lock under which messages are taken
ABANDONED = timedelta(seconds=60)  # who has not reported by then is dead: look the message up before sending it again


class SqlOutbox:
    """See ``engine.ports.Outbox``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._wanted: dict[str, Values] = {}
        self._sentences: dict[str, Values] = {}
        self._homes: dict[str, tuple[Values, bool]] = {}
        self._put_off: list[Values] = []

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
            self._tx.write(_raise_revision(on_postgres=self._tx.on_postgres), list(self._wanted.values()))
        if self._sentences:
            self._tx.write(_say_once(on_postgres=self._tx.on_postgres), list(self._sentences.values()))
        if self._put_off:
            self._tx.write(_failed(), self._put_off)
        homes = sorted(self._homes.items())
        forced = [values for _, (values, force) in homes if force]
        if forced:
            self._tx.write(_raise_revision(revive=True, on_postgres=self._tx.on_postgres), forced)
        known = [{"home": key} for key, (_, force) in homes if not force]
        if known:
            self._tx.write(_raise_home(), known)
        self._wanted, self._sentences, self._homes, self._put_off = {}, {}, {}, []

    # ------------------------------------------------------------ showing

    def message(self, session_id: int, purpose: Purpose, *, step_number: int = 0, ordinal: int = 0) -> Message | None:
        self.flush()
        place = {"session": session_id, "purpose": purpose, "step": step_number, "ordinal": ordinal}
        row = self._tx.db.execute(_placed(), place, execution_options=FRESH).scalar_one_or_none()
        return _message(row) if row else None

    def claim(self, *, now: datetime, limit: int) -> tuple[Message, ...]:
        self.flush()
        self._tx.serialise(CLAIM_LOCK)
        self._recover(now)
        bounds = {"now": now, "most": limit}
        rows = self._tx.db.execute(_due(), bounds, execution_options=FRESH).scalars().all()
        now = self._moment(now) if rows else now
        claimed = tuple(_message(row, sending_since=now) for row in rows)
        if claimed:
            taken = [message.id for message in claimed]
            facts = {"taken": taken, "state": "sending", "sending_since": now, "sender": self._tx.owner}
            self._tx.write(_take(), facts)
        return claimed

    def holds(self, message: Message) -> bool:
        claim = {"mine": message.id, "since": message.sending_since}
        return self._tx.one(_held(), claim) is not None

    def orphan(self) -> None:
        self._tx.write(update(OutboxRow).where(IS_SENDING).values(state="unknown"))

    def sent(self, message: Message, *, ts: str, now: datetime) -> None:  # noqa: ARG002 - the port's signature
        shown = {"sent_revision": message.revision, "ts": ts or message.ts}
        facts = {**shown, "tries": 0, "error": "", "not_before": None, "shown": message.revision}
        self._report(_sent(), message, facts)

    def postpone(self, message: Message, *, until: datetime, error: str, unknown: bool = False) -> None:
        state = "unknown" if unknown else "ready"
        facts = {"state": state, "not_before": until, "error": error}
        self._put_off.append(_reported(message, facts))  # of a whole batch at once, when it commits

    def give_up(self, message: Message, *, error: str) -> None:
        self._report(_failed(), message, {"state": "dead", "error": error})

    def stats(self) -> Mapping[str, int]:
        self.flush()
        counted = self._tx.db.execute(select(OutboxRow.state, func.count()).group_by(OutboxRow.state))
        return {state: count for state, count in counted}  # noqa: C416 - rows are no pairs for mypy

    def _report(self, statement: Update, message: Message, facts: Values) -> None:
        self._tx.write(statement, _reported(message, facts))

    def _recover(self, now: datetime) -> None:
        if self._tx.on_postgres:
            self._tx.write(_abandon_shared(self._tx.lease), {"state": "unknown"})
        else:
            self._tx.write(_abandon(), {"before": now - ABANDONED, "state": "unknown"})

    def _moment(self, now: datetime) -> datetime:
        """Return the time that a claim is stamped with: where several processes claim, it is the database's."""
        if self._tx.on_postgres:
            moment: datetime = self._tx.one(select(func.clock_timestamp()))
            return moment.astimezone(UTC)
        return now


def _new(key: str, purpose: Purpose, **values: object) -> Values:
    blank: Values = {"session_id": None, "step_number": 0, "ordinal": 0, "team": "", "channel": "", "user_id": ""}
    state: Values = {"wanted": 0, "revision": 1, "sent_revision": 0, "ts": "", "payload": {}, "state": "ready"}
    return {"key": key, "purpose": purpose, **blank, **state, "tries": 0, "error": "", **values}


def _reported(message: Message, facts: Values) -> Values:
    return {**facts, "mine": message.id, "since": message.sending_since, "sending_since": None}


# Each statement is put together once: building it costs more than running it.


@cache
def _raise_revision(*, on_postgres: bool, revive: bool = False) -> Insert:
    """Want a message again: one revision higher, and behind what its thread already waits for."""
    statement = insert(OutboxRow, on_postgres=on_postgres)
    still_waits = and_(OutboxRow.state != "sending", OutboxRow.revision > OutboxRow.sent_revision)
    return statement.on_conflict_do_update(
        index_elements=[OutboxRow.key],
        set_={
            "revision": OutboxRow.revision + 1,
            "state": _awake(revive=revive),
            "wanted": case((still_waits, OutboxRow.wanted), else_=statement.excluded.wanted),
        },
    )


@cache
def _say_once(*, on_postgres: bool) -> Insert:
    return insert(OutboxRow, on_postgres=on_postgres).on_conflict_do_nothing(index_elements=[OutboxRow.key])


@cache
def _raise_home() -> Update:
    """Redraw a Home that somebody has opened before."""
    raised = {"revision": OutboxRow.revision + 1, "state": _awake()}
    return update(OutboxRow).where(OutboxRow.key == bindparam("home")).values(raised)


@cache
def _placed() -> Select[OutboxRow]:
    return select(OutboxRow).where(
        OutboxRow.session_id == bindparam("session"),
        OutboxRow.purpose == bindparam("purpose"),
        OutboxRow.step_number == bindparam("step"),
        OutboxRow.ordinal == bindparam("ordinal"),
    )


@cache
def _take() -> Update:
    return update(OutboxRow).where(OutboxRow.id.in_(bindparam("taken", expanding=True)))


@cache
def _mine() -> Update:
    """Only the claim that is still the newest one may report; a sender that was thought dead is not believed."""
    return update(OutboxRow).where(OutboxRow.id == bindparam("mine"), OutboxRow.sending_since == bindparam("since"))


@cache
def _sent() -> Update:
    return _mine().values(state=case((OutboxRow.revision > bindparam("shown"), "ready"), else_="sent"))


@cache
def _failed() -> Update:
    return _mine().values(tries=OutboxRow.tries + 1)


@cache
def _abandon() -> Update:
    return update(OutboxRow).where(IS_SENDING, OutboxRow.sending_since <= bindparam("before"))


@cache
def _abandon_shared(lease: timedelta) -> Update:
    """Where several processes send: the sender is gone, or did not report for too long by the database's clock."""
    too_long = OutboxRow.sending_since <= func.clock_timestamp() - ABANDONED
    lost = or_(too_long, gone(OutboxRow.sender, OutboxRow.sending_since, lease))
    return update(OutboxRow).where(IS_SENDING, lost)


@cache
def _held() -> Select[int]:
    return select(OutboxRow.id).where(
        OutboxRow.id == bindparam("mine"), OutboxRow.sending_since == bindparam("since"), IS_SENDING
    )


def _awake(*, revive: bool = False) -> ColumnElement[str]:
    asleep = or_(OutboxRow.state == "sent", OutboxRow.state == "dead") if revive else OutboxRow.state == "sent"
    return case((asleep, "ready"), else_=OutboxRow.state)


def _thread(row: type[OutboxRow]) -> ColumnElement[int]:
    """The session, or 0. Not the bare column: SQLite would walk its index, and with it everything ever sent."""
    return func.coalesce(row.session_id, 0)


@cache
def _due() -> Select[OutboxRow]:
    """Select the first due message of each thread and of each person; asked every second, so put together once."""
    other, root = aliased(OutboxRow), aliased(OutboxRow)
    same_thread = and_(other.session_id == OutboxRow.session_id, other.id != OutboxRow.id)
    never_shown = and_(other.sent_revision == 0, other.id < OutboxRow.id, other.state != "dead")
    is_root = OutboxRow.purpose == Purpose.CARD
    blocked = select(other.id).where(same_thread, or_(other.state == "sending", and_(never_shown, ~is_root)))
    rooted = select(root.id).where(root.session_id == OutboxRow.session_id, root.purpose == Purpose.CARD, root.ts != "")
    person_busy = select(other.id).where(
        OutboxRow.session_id.is_(None),
        _thread(other) == 0,
        other.user_id == OutboxRow.user_id,
        other.team == OutboxRow.team,
        other.state == literal("sending", literal_execute=True),  # written out, for the partial index
    )
    place = func.row_number().over(
        partition_by=[_thread(OutboxRow), OutboxRow.team, OutboxRow.user_id],
        order_by=[OutboxRow.wanted, OutboxRow.id],
    )
    due = (
        select(OutboxRow.id, place.label("place"))
        .where(
            IS_WAITING,
            or_(OutboxRow.not_before.is_(None), OutboxRow.not_before <= bindparam("now")),
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
        .limit(bindparam("most"))
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
