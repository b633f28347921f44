"""Storage in memory that keeps the promises of ``engine.ports.memory``, so that a seed costs milliseconds.

Sessions are frozen values, so a transaction is a list of what to put back. ``tests/simulation/test_simulation.py``
holds this against the real tables: the same seeds must leave the same trace on both. Nothing here decides anything
that the tables do not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from engine.effects import Purpose
from engine.errors import Stale, TargetBusy
from engine.model import (
    FINAL_SESSIONS,
    Attempt,
    AttemptStatus,
    GateStatus,
    Output,
    Person,
    Place,
    Session,
    SessionStatus,
    Step,
    StepStatus,
    Target,
)
from engine.ports import AuditRecord, EarlierResult, InboxItem, Job, Message, Reply, Summary
from storage.audit import GENESIS, hash_of

LEASE = ABANDONED = timedelta(seconds=60)
LIVE = frozenset({AttemptStatus.SUBMITTING, AttemptStatus.ACCEPTED, AttemptStatus.RUNNING})
MAY_RUN = frozenset({StepStatus.APPROVED, StepStatus.QUEUED})
_ABSENT = object()
_UNKNOWN: tuple[None, None, str] = (None, None, "")


@dataclass(frozen=True)
class AttemptFacts:
    """A row of an attempt."""

    attempt: Attempt
    session_id: int
    step_number: int
    target: Target
    holds: bool
    checks: int = 0
    next_check_at: datetime | None = None
    clean_due_at: datetime | None = None
    cleaned_at: datetime | None = None


@dataclass
class Tables:
    """All rows. Only committed ones outlive the unit that wrote them."""

    sessions: dict[int, Session] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    gates: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, AttemptFacts] = field(default_factory=dict)
    outputs: dict[tuple[int, int], Output] = field(default_factory=dict)
    earlier: dict[tuple[int, int, int], EarlierResult] = field(default_factory=dict)
    queue: dict[tuple[int, int], int] = field(default_factory=dict)
    outbox: dict[str, Message] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    inbox: dict[str, tuple[InboxItem, datetime | None, str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    audit: list[AuditRecord] = field(default_factory=list)
    shared: bool = False  #: whether several processes serve it


class Open:
    """One open transaction: writes at once, and knows how to put everything back."""

    def __init__(self, tables: Tables, writing: Callable[[], None]) -> None:
        self.tables = tables
        self.touched: set[int] = set()
        self._writing = writing
        self._undo: list[tuple[dict[Any, Any], object, object]] = []
        self._audit = 0
        self._begun = False

    def begins(self) -> None:
        """Take the lock that all writers share."""
        if not self._begun:
            self._writing()  # others may write until now
            self._audit = len(self.tables.audit)
            self._begun = True

    def put(self, table: dict[Any, Any], key: object, value: object) -> None:
        self.begins()
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def remove(self, table: dict[Any, Any], key: object) -> None:
        self.begins()
        if key in table:
            self._undo.append((table, key, table.pop(key)))

    def commit(self) -> None:
        self._undo.clear()
        self.touched.clear()
        self._begun = False

    def roll_back(self) -> None:
        if not self._begun:
            return
        for table, key, value in reversed(self._undo):
            if value is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = value
        self._undo.clear()
        del self.tables.audit[self._audit :]


class Sessions:
    """See ``engine.ports.Sessions``."""

    def __init__(self, tx: Open) -> None:
        self._tx, self._t = tx, tx.tables

    def add(self, session: Session, *, request_key: str) -> Session:
        self._tx.begins()
        if request_key in self._t.requests:
            raise Stale("This request has already started a session.")
        added = replace(session, id=len(self._t.sessions) + 1)
        self._tx.put(self._t.requests, request_key, added.id)
        self._tx.put(self._t.sessions, added.id, added)
        self._tx.touched.add(added.id)
        return added

    def get(self, session_id: int) -> Session | None:
        return self._t.sessions.get(session_id)

    def by_request(self, request_key: str) -> int | None:
        return self._t.requests.get(request_key)

    def by_gate(self, gate_id: str) -> int | None:
        return self._t.gates.get(gate_id)

    def by_attempt(self, attempt_id: str) -> int | None:
        found = self._t.attempts.get(attempt_id)
        return found.session_id if found else None

    def save(self, session: Session, *, was: Session) -> None:
        if session == was:
            return
        self._tx.begins()
        if self._t.sessions[was.id].version != was.version:
            raise Stale(f"Session {was.id} was changed by somebody else first.", hint="Look at it again.")
        self._tx.put(self._t.sessions, session.id, session)
        self._tx.touched.add(session.id)
        for old, step in zip(was.steps, session.steps, strict=True):
            if old is not step and old != step:
                self._save_step(session, old, step)

    def _save_step(self, session: Session, old: Step, step: Step) -> None:
        place = session.id, step.number
        if old.attempt and step.attempt and old.attempt.id != step.attempt.id:
            kept = EarlierResult(
                attempt=old.attempt,
                output=self.output(*place),
                exit_code=old.exit_code,
                duration_seconds=old.duration_seconds,
                reason=old.reason,
                captured=old.captured,
            )
            self._tx.put(self._t.earlier, (*place, old.attempt.number), kept)
        if (step.status in MAY_RUN) != (old.status in MAY_RUN):
            if step.status in MAY_RUN:
                self._tx.put(self._t.queue, place, max(self._t.queue.values(), default=0) + 1)
            else:
                self._tx.remove(self._t.queue, place)
        if step.gate and step.gate.id not in self._t.gates:
            self._tx.put(self._t.gates, step.gate.id, session.id)
        self._save_attempt(session, old, step)

    def _save_attempt(self, session: Session, old: Step, step: Step) -> None:
        attempt, before = step.attempt, old.attempt
        if attempt is None:
            return
        unresolved = attempt.status is AttemptStatus.UNKNOWN and step.status is StepStatus.UNKNOWN
        holds = attempt.status in LIVE or unresolved
        if before is not None and before.id == attempt.id:
            known = self._t.attempts[attempt.id]
            self._tx.put(self._t.attempts, attempt.id, replace(known, attempt=attempt, holds=holds))
            return
        if before is not None:
            self._tx.put(self._t.attempts, before.id, replace(self._t.attempts[before.id], holds=False))
        target = session.plan.target
        holder = next((a for a in self._t.attempts.values() if a.holds and a.target.id == target.id), None)
        if holder:
            raise TargetBusy(f"Session {holder.session_id} is running a command on {target.name}.")
        facts = AttemptFacts(attempt, session.id, step.number, target, holds)
        self._tx.put(self._t.attempts, attempt.id, facts)

    def output(self, session_id: int, step_number: int) -> Output:
        return self._t.outputs.get((session_id, step_number), Output())

    def earlier(self, session_id: int, step_number: int, number: int) -> EarlierResult | None:
        return self._t.earlier.get((session_id, step_number, number))

    def store_output(self, session_id: int, step_number: int, output: Output) -> None:
        self._tx.put(self._t.outputs, (session_id, step_number), output)

    def recent(
        self,
        *,
        status: SessionStatus | None = None,
        ticket: str = "",
        requester: Person | None = None,
        limit: int = 20,
        before: int | None = None,
        active: bool = False,
    ) -> tuple[Summary, ...]:
        found = [
            one
            for one in reversed(self._t.sessions.values())
            if (status is None or one.status is status)
            and (not ticket or one.ticket == ticket)
            and (requester is None or one.requester.person == requester)
            and (before is None or one.id < before)
            and not (active and one.status in FINAL_SESSIONS)
        ]
        return tuple(self._summary(one) for one in found[:limit])

    def _summary(self, session: Session) -> Summary:
        gate, card = session.open_gate, self._t.outbox.get(f"session/{session.id}/card/0/0")
        waits = session.status is SessionStatus.WAITING_APPROVAL and gate is not None
        return Summary(
            id=session.id,
            status=session.status,
            runbook=session.plan.runbook,
            title=session.plan.title,
            target=session.plan.target.name,
            requester=session.requester.person.user if session.requester.person else session.requester.name,
            ticket=session.ticket,
            waiting_step=gate.step_number if waits and gate else None,
            current_step=session.current_step.number if session.current_step else None,
            created_at=session.created_at,
            finished_at=session.finished_at,
            channel=session.place.channel if session.place else "",
            thread_ts=card.ts if card else "",
        )

    def counts(self) -> Mapping[str, int]:
        active = [one.status.value for one in self._t.sessions.values() if one.status not in FINAL_SESSIONS]
        return {status: active.count(status) for status in sorted(set(active))}

    def waiting(self, *, limit: int = 50, after: int = 0) -> tuple[Session, ...]:
        return tuple(one for one in self._t.sessions.values() if one.id > after and one.open_gate)[:limit]

    def queue_for(self, target_id: str) -> tuple[int, ...]:
        held = [a.session_id for a in self._t.attempts.values() if a.holds and a.target.id == target_id]
        waits = sorted(
            (number, session_id)
            for (session_id, _), number in self._t.queue.items()
            if self._t.sessions[session_id].plan.target.id == target_id
            and self._t.sessions[session_id].status not in FINAL_SESSIONS
        )
        return tuple(dict.fromkeys([*held, *(session_id for _, session_id in waits)]))

    def last_run(self, runbook: str, target_id: str, before: int) -> Summary | None:
        for one in reversed(self._t.sessions.values()):
            same = (one.plan.runbook, one.plan.target.id) == (runbook, target_id)
            if one.id < before and same and one.status in FINAL_SESSIONS:
                return self._summary(one)
        return None


class Attempts:
    """See ``engine.ports.Attempts``."""

    def __init__(self, tx: Open, owner: str) -> None:
        self._tx, self._rows, self._owner = tx, tx.tables.attempts, owner

    def get(self, attempt_id: str) -> tuple[Attempt, Target] | None:
        found = self._rows.get(attempt_id)
        return (found.attempt, found.target) if found else None

    def look_again(self, attempt_id: str, *, at: datetime) -> None:
        self._tx.begins()
        known = self._rows[attempt_id]
        self._tx.put(self._rows, attempt_id, replace(known, next_check_at=at, checks=known.checks + 1))

    def take_over(self, attempt_id: str, *, now: datetime) -> bool:
        self._tx.begins()
        t, known = self._tx.tables, self._rows[attempt_id]
        asked = known.next_check_at is not None and known.attempt.status is AttemptStatus.SUBMITTING
        if not (asked or _orphaned(t, known, self._owner, now)):
            return False
        mine, session = replace(known.attempt, owner=self._owner), t.sessions[known.session_id]
        steps = tuple(replace(one, attempt=mine) if one.number == known.step_number else one for one in session.steps)
        self._tx.put(self._rows, attempt_id, replace(known, attempt=mine))
        self._tx.put(t.sessions, session.id, replace(session, steps=steps))
        return True

    def checks(self, attempt_id: str) -> int:
        found = self._rows.get(attempt_id)
        return found.checks if found else 0

    def cleaned(self, attempt_id: str, *, at: datetime) -> None:
        self._tx.begins()
        self._tx.put(self._rows, attempt_id, replace(self._rows[attempt_id], cleaned_at=at, clean_due_at=None))

    def clean_later(self, attempt_id: str, *, at: datetime) -> None:
        self._tx.begins()
        self._tx.put(self._rows, attempt_id, replace(self._rows[attempt_id], clean_due_at=at))


class Outbox:
    """See ``engine.ports.Outbox``."""

    def __init__(self, tx: Open) -> None:
        self._tx, self._rows, self._order = tx, tx.tables.outbox, tx.tables.wanted
        self._wanted: dict[str, tuple[Message, int]] = {}
        self._sentences: dict[str, Message] = {}
        self._homes: dict[str, tuple[Message, bool]] = {}
        self._put_off: list[tuple[Message, dict[str, Any]]] = []

    def show(self, session: Session, purpose: Purpose, *, step_number: int = 0, ordinal: int = 0) -> None:
        if session.place is None:
            return
        key = f"session/{session.id}/{purpose.value}/{step_number}/{ordinal}"
        place = {"team": session.place.team, "channel": session.place.channel, "session_id": session.id}
        new = _message(key, purpose, step_number=step_number, ordinal=ordinal, **place)
        self._wanted[key] = new, session.version

    def tell(self, place: Place, person: Person, text: str, *, key: str, reply: Reply) -> None:
        facts = {"text": text, "thread_ts": reply.thread_ts, "response_url": reply.response_url}
        payload = {name: value for name, value in facts.items() if value}
        where = {"team": place.team, "channel": place.channel, "user": person.user}
        self._sentences[f"tell/{key}"] = _message(f"tell/{key}", Purpose.EPHEMERAL, payload=payload, **where)

    def publish_home(self, person: Person, *, force: bool = False) -> None:
        key = f"home/{person}"
        forced = force or self._homes.get(key, (None, False))[1]
        self._homes[key] = _message(key, Purpose.HOME, team=person.team, user=person.user), forced

    def flush(self) -> None:
        if self._wanted or self._sentences or self._homes or self._put_off:
            self._tx.begins()
        for key, (message, wanted) in self._wanted.items():
            self._raise(key, message, wanted)
        for key, message in self._sentences.items():
            if key not in self._rows:
                self._add(key, message, 0)
        for message, facts in self._put_off:
            row = self._mine(message)
            if row:
                self._report(row, **facts, tries=row.tries + 1)
        for key, (message, force) in sorted(self._homes.items()):
            if force:
                self._raise(key, message, 0, revive=True)
            elif key in self._rows:
                self._again(key)
        self._wanted, self._sentences, self._homes, self._put_off = {}, {}, {}, []

    def _add(self, key: str, message: Message, wanted: int) -> None:
        self._tx.put(self._rows, key, replace(message, id=len(self._rows) + 1))
        self._tx.put(self._order, key, wanted)

    def _raise(self, key: str, message: Message, wanted: int, *, revive: bool = False) -> None:
        known = self._rows.get(key)
        if known is None:
            self._add(key, message, wanted)
            return
        waits = known.state != "sending" and known.revision > known.sent_revision
        if not waits:
            self._tx.put(self._order, key, wanted)
        self._again(key, revive=revive)

    def _again(self, key: str, *, revive: bool = False) -> None:
        known = self._rows[key]
        asleep = known.state == "sent" or (revive and known.state == "dead")
        state = "ready" if asleep else known.state
        self._tx.put(self._rows, key, replace(known, revision=known.revision + 1, state=state))

    def message(self, session_id: int, purpose: Purpose, *, step_number: int = 0, ordinal: int = 0) -> Message | None:
        self.flush()
        return self._rows.get(f"session/{session_id}/{purpose.value}/{step_number}/{ordinal}")

    def claim(self, *, now: datetime, limit: int) -> tuple[Message, ...]:
        self.flush()
        self._tx.begins()
        for key, row in list(self._rows.items()):
            if row.state == "sending" and row.sending_since and row.sending_since <= now - ABANDONED:
                self._tx.put(self._rows, key, replace(row, state="unknown"))
        rows = due_messages(self._rows, self._order, now)[:limit]
        for row in rows:
            self._tx.put(self._rows, row.key, replace(row, state="sending", sending_since=now))
        return tuple(replace(row, sending_since=now) for row in rows)

    def holds(self, message: Message) -> bool:
        row = self._rows.get(message.key)
        return row is not None and row.state == "sending" and row.sending_since == message.sending_since

    def orphan(self) -> None:
        self._tx.begins()
        for key, row in list(self._rows.items()):
            if row.state == "sending":
                self._tx.put(self._rows, key, replace(row, state="unknown"))

    def sent(self, message: Message, *, ts: str, now: datetime) -> None:  # noqa: ARG002 - the port's signature
        row = self._mine(message)
        if row:
            state = "ready" if row.revision > message.revision else "sent"
            facts = {"sent_revision": message.revision, "ts": ts or message.ts, "state": state}
            self._report(row, **facts, tries=0, error="", not_before=None)

    def postpone(self, message: Message, *, until: datetime, error: str, unknown: bool = False) -> None:
        state = "unknown" if unknown else "ready"
        self._put_off.append((message, {"state": state, "not_before": until, "error": error}))

    def give_up(self, message: Message, *, error: str) -> None:
        row = self._mine(message)
        if row:
            self._report(row, state="dead", error=error, tries=row.tries + 1)

    def stats(self) -> Mapping[str, int]:
        self.flush()
        states = [row.state for row in self._rows.values()]
        return {state: states.count(state) for state in sorted(set(states))}

    def _mine(self, message: Message) -> Message | None:
        self._tx.begins()
        row = self._rows.get(message.key)
        return row if row and row.sending_since == message.sending_since else None

    def _report(self, row: Message, **values: Any) -> None:
        self._tx.put(self._rows, row.key, replace(row, sending_since=None, **values))


def _message(key: str, purpose: Purpose, **facts: Any) -> Message:
    blank = {"id": 0, "session_id": None, "step_number": 0, "ordinal": 0, "team": "", "channel": "", "user": ""}
    return Message(**(blank | {"key": key, "purpose": purpose, "revision": 1, "sent_revision": 0, "ts": ""} | facts))


def due_messages(rows: Mapping[str, Message], order: Mapping[str, int], now: datetime) -> list[Message]:
    """Return the first due message of each thread and of each person, in the order of their ids."""
    first: dict[tuple[int | None, str, str], Message] = {}
    for row in rows.values():
        if row.state not in {"ready", "unknown"} or (row.not_before is not None and row.not_before > now):
            continue
        if not _may_go(rows, row):
            continue
        lane = row.session_id, row.team, row.user
        rival = first.get(lane)
        if rival is None or (order[row.key], row.id) < (order[rival.key], rival.id):
            first[lane] = row
    return sorted(first.values(), key=lambda row: row.id)


def _may_go(rows: Mapping[str, Message], row: Message) -> bool:
    if row.session_id is None:
        mine = (other for other in rows.values() if other.session_id is None)
        return not any(o.state == "sending" and (o.user, o.team) == (row.user, row.team) for o in mine)
    thread = [other for other in rows.values() if other.session_id == row.session_id and other.id != row.id]
    if any(other.state == "sending" for other in thread):
        return False
    if row.purpose is Purpose.CARD:
        return True
    rooted = any(other.purpose is Purpose.CARD and other.ts for other in thread)
    return rooted and not any(o.sent_revision == 0 and o.id < row.id and o.state != "dead" for o in thread)


class Audit:
    """See ``engine.ports.Audit``."""

    def __init__(self, tx: Open) -> None:
        self._tx, self._rows = tx, tx.tables.audit
        self._unwritten: list[dict[str, Any]] = []

    def append(
        self,
        kind: str,
        *,
        at: datetime,
        session_id: int | None = None,
        step_number: int | None = None,
        actor: str = "system",
        source: str = "system",
        data: Mapping[str, object] | None = None,
    ) -> None:
        facts = {"kind": kind, "at": at.astimezone(UTC), "session_id": session_id, "step_number": step_number}
        self._unwritten.append(facts | {"actor": actor, "source": source, "data": dict(data or {})})

    def records(self, *, session_id: int | None = None, after: int = 0, limit: int = 1000) -> tuple[AuditRecord, ...]:
        self.flush()
        found = [r for r in self._rows if r.seq > after and (session_id is None or r.session_id == session_id)]
        return tuple(found[:limit])

    def flush(self) -> None:
        if not self._unwritten:
            return
        self._tx.begins()
        for facts in self._unwritten:
            previous = self._rows[-1].hash if self._rows else GENESIS
            record = AuditRecord(seq=len(self._rows) + 1, previous=previous, hash="", **facts)
            self._rows.append(replace(record, hash=hash_of(record)))
        self._unwritten = []


class Inbox:
    """See ``engine.ports.Inbox``."""

    def __init__(self, tx: Open) -> None:
        self._tx, self._rows = tx, tx.tables.inbox

    def accept(self, key: str, kind: str, payload: Mapping[str, str], *, at: datetime, done: bool) -> bool:
        self._tx.begins()
        if key in self._rows:
            return False
        item = InboxItem(key=key, kind=kind, payload=dict(payload), received_at=at)
        self._tx.put(self._rows, key, (item, at if done else None, ""))
        return True

    def get(self, key: str) -> InboxItem | None:
        item, done, _ = self._rows.get(key, _UNKNOWN)
        return item if done is None else None

    def done(self, key: str, *, at: datetime, answer: str = "") -> None:
        self._tx.begins()
        item, done, noted = self._rows.get(key, _UNKNOWN)
        if item is not None and (done is None or not noted):
            self._tx.put(self._rows, key, (item, at, answer))

    def answer(self, key: str) -> str:
        return self._rows.get(key, _UNKNOWN)[2]


class MemoryUnit:
    """See ``engine.ports.UnitOfWork``. ``writing`` is called before the first write, as a lock would be taken."""

    def __init__(self, tables: Tables, owner: str, writing: Callable[[], None]) -> None:
        self._tables, self._owner = tables, owner
        self.tx = Open(tables, writing)
        self.hints: list[Job] = []
        self.sessions, self.attempts, self.inbox = Sessions(self.tx), Attempts(self.tx, owner), Inbox(self.tx)
        self.outbox, self.audit = Outbox(self.tx), Audit(self.tx)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tx.roll_back()

    def commit(self) -> None:
        self.outbox.flush()
        self.audit.flush()
        self.tx.commit()

    def defer(self, task: str, row_id: str, *, not_before: datetime | None = None) -> None:
        self.hints.append(Job(task=task, id=row_id, not_before=not_before))

    def due(self, *, now: datetime, limit: int = 200) -> tuple[Job, ...]:
        return tuple(dict.fromkeys(_due(self._tables, self._owner, now)))[:limit]

    def next_due(self, *, now: datetime) -> datetime | None:
        return min((moment for moment in moments(self._tables) if moment > now), default=None)

    def set_setting(self, name: str, value: str) -> None:
        self.tx.put(self._tables.settings, name, value)

    def setting(self, name: str) -> str | None:
        return self._tables.settings.get(name)


def _due(t: Tables, owner: str, now: datetime) -> Iterator[Job]:
    yield from (
        Job(task="start", id=key) for key, (item, done, _) in t.inbox.items() if not done and item.kind == "start"
    )
    yield from _may_run(t, now)
    for one in t.attempts.values():
        looks = one.attempt.status in {AttemptStatus.ACCEPTED, AttemptStatus.RUNNING} and _come(one.next_check_at, now)
        if looks and one.attempt.cancel_requested:
            yield Job(task="cancel", id=one.attempt.id)
        if looks or _orphaned(t, one, owner, now):
            yield Job(task="observe", id=one.attempt.id)
        if _unclean(one) and _come(one.clean_due_at, now):
            yield Job(task="cleanup", id=one.attempt.id)
    for session in t.sessions.values():
        gate = session.open_gate
        if gate and gate.expires_at <= now:
            yield Job(task="expire", id=gate.id)
        elif gate and not gate.reminded and gate.remind_at <= now:
            yield Job(task="remind", id=gate.id)


def _may_run(t: Tables, now: datetime) -> Iterator[Job]:
    busy = {one.target.id for one in t.attempts.values() if one.holds}
    turn: set[str] = set()
    for session_id, number in sorted(t.queue, key=lambda place: (t.queue[place], place[0])):
        session = t.sessions[session_id]
        step = session.step(number)
        if step is None or session.status is not SessionStatus.IN_PROGRESS or not _come(step.not_before, now):
            continue
        target = session.plan.target.id
        if step.status is StepStatus.APPROVED:
            yield Job(task="run", id=str(session_id))
        elif target not in busy | turn:
            turn.add(target)
            yield Job(task="run", id=str(session_id))


def _come(moment: datetime | None, now: datetime) -> bool:
    return moment is None or moment <= now


def _orphaned(t: Tables, one: AttemptFacts, owner: str, now: datetime) -> bool:
    attempt = one.attempt
    if attempt.status is not AttemptStatus.SUBMITTING:
        return False
    if one.next_check_at is not None:
        return one.next_check_at <= now
    if not t.shared and attempt.owner != owner:
        return True
    silent = attempt.created_at is not None and attempt.created_at <= now - LEASE
    return silent or (attempt.not_after is not None and attempt.not_after <= now)


def _unclean(one: AttemptFacts) -> bool:
    over = one.attempt.status not in LIVE and one.attempt.status is not AttemptStatus.PLANNED
    return over and one.cleaned_at is None and not one.holds


def moments(t: Tables) -> Iterator[datetime]:
    """Yield every time at which a row becomes due."""
    for session in t.sessions.values():
        gate = session.open_gate
        if gate and gate.status is GateStatus.OPEN:
            yield gate.expires_at
            if not gate.reminded:
                yield gate.remind_at
    for session_id, number in t.queue:
        step = t.sessions[session_id].step(number)
        if step and step.not_before:
            yield step.not_before
    for one in t.attempts.values():
        if one.attempt.status in LIVE and one.next_check_at:
            yield one.next_check_at
        if _unclean(one) and one.clean_due_at:
            yield one.clean_due_at
