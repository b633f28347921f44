"""The judges: what must hold after every commit, every request to a machine and everything that people see.

They read rows, the cloud's ledger and what Slack shows, and know by themselves who may approve what. They never ask the
product's life cycle whether a step was right, and never change anything.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.delivery_render import Parcel
from engine.effects import Purpose
from engine.model import (
    FINAL_SESSIONS,
    AttemptStatus,
    GateStatus,
    OnFailure,
    Person,
    Phase,
    Session,
    SessionStatus,
    Step,
    StepStatus,
    Target,
    Verdict,
)
from engine.ports import AuditRecord, Command
from tests.simulation.chance import Fault
from tests.simulation.installation import APPROVERS, CANARY, QUORUM
from tests.simulation.slack import Post

if TYPE_CHECKING:
    from tests.simulation.world import World

A, S = AttemptStatus, StepStatus
LIVE = frozenset({A.SUBMITTING, A.ACCEPTED, A.RUNNING})
EVIDENCED = frozenset({A.SUCCEEDED, A.FAILED, A.TIMED_OUT, A.INFRA_FAILED})
NEVER_RAN = frozenset({A.NOT_STARTED, A.REFUSED_LATE})
PASSED = frozenset({S.SUCCEEDED, S.SKIPPED})
STEERING = {"session_paused", "session_resumed", "session_cancel_asked", "choice_made"}
TURNED_AWAY = {"not_allowed", "unverifiable"}
INVISIBLE = frozenset(
    [*map(chr, range(0x20)), "\x7f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))]
) - {"\n", "\t"}


class Violation(AssertionError):
    """An invariant does not hold; the text begins with its number."""


def require(holds: object, number: str, said: str) -> None:
    if not holds:
        raise Violation(f"{number}: {said}")


@dataclass
class Judge:
    """Remembers what was, so that each look costs only what has changed."""

    world: World
    seen: dict[int, Session] = field(default_factory=dict)
    born: dict[int, Session] = field(default_factory=dict)  #: each session as it was frozen
    keys: dict[str, int] = field(default_factory=dict)
    claims: dict[str, tuple[int, int]] = field(default_factory=dict)  #: attempt -> session and step
    never: set[str] = field(default_factory=set)  #: attempts that are said to have run nothing
    uses: Counter[str] = field(default_factory=Counter)  #: how often a gate's approval was used, by gate
    under: dict[str, str] = field(default_factory=dict)  #: attempt -> gate
    votes: set[tuple[str, str, str]] = field(default_factory=set)  #: gate, person, verdict
    once: Counter[tuple[str, int, int, int]] = field(default_factory=Counter)
    tampered: set[int] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    results: set[str] = field(default_factory=set)  #: keys of messages that tell how something ended
    posted: Counter[str] = field(default_factory=Counter)
    threads: dict[int, int] = field(default_factory=dict)  #: session -> id of its newest first post
    seq: int = 0
    deeds: int = 0  #: records of all but turning somebody away, which is noted each time
    head: str = "0" * 64
    excused: bool = False  #: whether a sender was stopped for so long that a second post cannot be helped

    # ------------------------------------------------------------ commits

    def committed(self, records: list[AuditRecord], touched: set[int]) -> None:
        """Look at everything that one transaction has changed."""
        told: dict[int, AuditRecord] = {}
        for record in records:
            self._chain(record)
            if record.session_id is not None and "version" in record.data:
                require(record.session_id not in told, "I6", f"one commit tells two versions of {record.session_id}")
                told[record.session_id] = record
        require(told.keys() == touched, "I6", f"changed {sorted(touched)}, the audit trail tells of {sorted(told)}")
        for number in sorted(touched):
            session = self.world.store.session(number)
            self._explained(session, told[number])
            self._moved(session, told[number])
            self.seen[number] = session

    def _chain(self, r: AuditRecord) -> None:
        at = r.at.isoformat(timespec="microseconds")
        content = [r.seq, at, r.kind, r.session_id, r.step_number, r.actor, r.source, r.data, self.head]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()
        require((r.seq, r.hash) == (self.seq + 1, digest), "I6", f"record {r.seq} breaks the audit chain")
        require(CANARY not in text, "I9", f"record {r.seq} of the audit trail holds a secret")
        self.seq, self.head = r.seq, r.hash
        self.deeds += r.kind != "decision_refused" or r.data.get("code") not in TURNED_AWAY
        self.world.says(f"  audit {r.seq} {r.kind} {r.session_id}/{r.step_number} {r.actor} {r.hash[:12]}")

    def _explained(self, session: Session, r: AuditRecord) -> None:
        before = self.seen.get(session.id)
        expected = before.version + 1 if before else 1
        require(session.version == expected, "I6", f"session {session.id} went to version {session.version}")
        said = r.data["version"], r.data["status"]
        require(said == (session.version, session.status.value), "I6", f"{r.kind} says {said} of session {session.id}")

    def _moved(self, session: Session, r: AuditRecord) -> None:
        before = self.seen.get(session.id)
        if before is None:
            self.born[session.id] = session
            return
        require(before.status not in FINAL_SESSIONS, "I5", f"session {session.id} was over, then came {r.kind}")
        for old, new in zip(before.steps, session.steps, strict=True):
            if old is not new and old != new:
                self._step_moved(before, session, old, new, r)
        if session.status in FINAL_SESSIONS:
            self._over(session)
        self.statuses[session.status.value] += session.status is not before.status
        if r.kind in {"gate_expired", "approvers_reminded"}:
            self._once(session, r)

    def _once(self, session: Session, r: AuditRecord) -> None:
        step = session.step(r.step_number or 0)
        assert step is not None
        assert step.gate is not None
        place = r.kind, session.id, step.number, step.gate.serial
        self.once[place] += 1
        require(self.once[place] == 1, "P15", f"{r.kind} fired twice for step {step.number} of session {session.id}")

    def _over(self, session: Session) -> None:
        live = [s.number for s in session.steps if s.attempt and s.attempt.status in LIVE]
        require(not live, "I5", f"session {session.id} is {session.status.value} while step {live} runs")
        unknown = [s.number for s in session.steps if s.status is S.UNKNOWN]
        require(not unknown, "I12", f"session {session.id} is {session.status.value} with unknown step {unknown}")
        open_gates = [s.number for s in session.steps if s.gate and s.gate.status is GateStatus.OPEN]
        require(not open_gates, "I5", f"session {session.id} is over and still asks for step {open_gates}")

    def _step_moved(self, before: Session, session: Session, old: Step, new: Step, r: AuditRecord) -> None:
        place = f"step {new.number} of session {session.id}"
        if old.status is S.UNKNOWN and new.status is not S.UNKNOWN:
            human = r.kind == "choice_made" and r.actor != "system" and r.data.get("reason")
            require(human, "I12", f"the unknown outcome of {place} was closed by {r.kind} of {r.actor}")
        if old.gate != new.gate and new.gate is not None:
            self._gate_moved(session, old, new, r)
        if new.attempt is not None and (old.attempt is None or old.attempt.id != new.attempt.id):
            self._claimed(before, session, old, new, r)
        elif new.attempt is not None and old.attempt is not None and new.attempt.status is not old.attempt.status:
            self._attempt_moved(session, old, new)

    def _gate_moved(self, session: Session, old: Step, new: Step, r: AuditRecord) -> None:
        gate, place = new.gate, f"step {new.number} of session {session.id}"
        assert gate is not None
        same = old.gate is not None and old.gate.id == gate.id
        known = len(old.gate.decisions) if old.gate and same else 0
        for vote in gate.decisions[known:]:
            require(r.actor == str(vote.actor.person), "I6", f"{r.actor} is on record for a vote of {vote.actor}")
            require(vote.at < gate.expires_at, "I10", f"{vote.actor} decided {place} after its time")
            require(self._may_decide(session, vote.actor.person), "I3", f"{vote.actor} may not decide {place}")
            cast = gate.id, str(vote.actor.person), vote.verdict.value
            require(cast not in self.votes, "I3", f"{vote.actor} decided {place} twice")
            self.votes.add(cast)
        if same and old.gate and old.gate.status is not GateStatus.OPEN:
            require(gate.status is old.gate.status, "I5", f"the closed gate of {place} became {gate.status.value}")
        if gate.status is GateStatus.EXPIRED:
            require(gate.closed_at and gate.closed_at >= gate.expires_at, "P15", f"{place} expired early")

    def _may_decide(self, session: Session, person: Person | None) -> bool:
        return person in APPROVERS and person != session.requester.person

    def _claimed(self, before: Session, session: Session, old: Step, new: Step, r: AuditRecord) -> None:
        attempt, place = new.attempt, f"step {new.number} of session {session.id}"
        assert attempt is not None
        require(r.data.get("attempt") == attempt.id, "I13", f"an attempt of {place} is in no audit record")
        require(not before.paused_by and not before.cancelled_by, "I10", f"{place} began while paused or called off")
        if old.attempt is not None:
            ended = old.attempt.status not in LIVE | {A.SUCCEEDED}
            require(ended, "I1", f"{place} was begun again while its attempt was {old.attempt.status.value}")
        self.claims[attempt.id] = session.id, new.number
        self._in_turn(session, new)
        if old.gate is not None:
            self.uses[old.gate.id] += 1
            self.under[attempt.id] = old.gate.id
            most = 1 + self.born[session.id].steps[_index(session, new)].planned.retries
            used = self.uses[old.gate.id]
            require(used <= most, "I3", f"the approval of {place} was used {used} times, {most} are allowed")

    def _in_turn(self, session: Session, step: Step) -> None:
        place = f"step {step.number} of session {session.id}"
        if step.planned.phase is Phase.ROLLBACK:
            undone = session.step(step.planned.undoes)
            require(session.rolling_back and undone and undone.attempts, "I11", f"{place} undoes what never began")
            return
        require(not session.rolling_back, "I11", f"{place} began while the session was being rolled back")
        for earlier in session.steps[: _index(session, step)]:
            if earlier.planned.phase is Phase.ROLLBACK:
                continue
            failed = earlier.status in {S.FAILED, S.TIMED_OUT}
            passed = earlier.status in PASSED or (failed and earlier.planned.on_failure is OnFailure.CONTINUE)
            require(passed, "I11", f"{place} began while step {earlier.number} was {earlier.status.value}")

    def _attempt_moved(self, session: Session, old: Step, new: Step) -> None:
        attempt, before, ledger = new.attempt, old.attempt, self.world.cloud.ledger
        assert attempt is not None
        assert before is not None
        place = f"attempt {attempt.number} of step {new.number} of session {session.id}"
        require(before.status in LIVE, "I5", f"{place} was {before.status.value}, then {attempt.status.value}")
        if attempt.status in EVIDENCED:
            known = ledger.ended.get(attempt.id)
            same = known is not None and known.status is attempt.status
            require(same, "P07", f"{place} is called {attempt.status.value} without evidence")
        if attempt.status is A.CANCELLED:
            require(attempt.id in ledger.killed, "P22", f"{place} is called stopped; no machine has stopped it")
        if attempt.status in NEVER_RAN:
            require(not ledger.effects[attempt.id], "P07", f"{place} is said not to have started, and took effect")
            self.never.add(attempt.id)
        if attempt.status is A.NOT_STARTED and attempt.id in self.under:
            self.uses[self.under[attempt.id]] -= 1
        if attempt.status in EVIDENCED and session.place is not None:
            self.results.add(f"session/{session.id}/result/{new.number}/{attempt.number}")

    # ------------------------------------------------------------ machines

    def submitting(self, command: Command, asked: dict[Person, bool]) -> None:
        """A request is about to leave: everything that allows it must be on record now."""
        attempt = command.attempt_id
        place = f"step {command.step_number} of session {command.session_id}"
        require(self.claims.get(attempt) == (command.session_id, command.step_number), "I13", f"{place}: no intent")
        require(not self.world.cloud.ledger.submitted[attempt], "I1", f"an attempt of {place} is sent twice")
        session = self.world.store.session(command.session_id)
        step, born = session.step(command.step_number), self.born[command.session_id]
        planned = born.steps[command.step_number - 1].planned
        require(step and step.attempt and step.attempt.id == attempt, "I13", f"{place} is not this attempt's")
        assert step is not None
        require(session.status not in FINAL_SESSIONS, "I5", f"{place} is sent after the session's end")
        require(command.script == planned.script, "I2", f"{place}: other bytes than those that were approved")
        require(_same(command.target, born.plan.target), "I2", f"{place}: another machine than the approved one")
        if planned.requires_approval:
            self._quorum(session, step, asked)
        else:
            require(step.audience is None, "I3", f"{place} runs ungated and has an audience")

    def _quorum(self, session: Session, step: Step, asked: dict[Person, bool]) -> None:
        """Distinct people who may decide, did approve this gate, and are members by the newest answer."""
        gate, place = step.gate, f"step {step.number} of session {session.id}"
        require(gate is not None and gate.status is GateStatus.APPROVED, "I3", f"{place} is sent without an approval")
        assert gate is not None
        people = {vote.actor.person for vote in gate.decisions if vote.verdict is Verdict.APPROVE}
        able = {p for p in people if p and self._may_decide(session, p) and asked.get(p)}
        wanted = QUORUM.get(session.plan.runbook, 1)
        require(len(able) >= wanted, "I3", f"{place} is sent with {len(able)} of {wanted} approvals that count now")

    def took_effect(self, command: Command) -> None:
        """A machine has begun to run a command."""
        attempt = command.attempt_id
        effects = self.world.cloud.ledger.effects[attempt]
        require(effects <= 1, "I1", f"attempt {attempt} took effect {effects} times")
        require(attempt not in self.never, "P07", f"attempt {attempt} took effect after it was said never to start")

    # ------------------------------------------------------------ people

    def shown(self, parcel: Parcel, post: Post | None) -> None:
        """People are about to see this."""
        text = _text_of(parcel)
        self.world.says(f"  shows {parcel.message.key} r{parcel.message.revision} {_digest(text)}")
        require(CANARY not in text, "I9", f"{parcel.message.key} shows a secret")
        odd = INVISIBLE.intersection(text)
        require(not odd, "I9", f"{parcel.message.key} shows control characters {sorted(odd)!r}")
        if post is None:
            return
        require("<!channel>" not in post.text, "I9", f"{post.key} notifies the whole channel")
        row = self.world.store.message(post.key)
        require(row is not None and post.revision <= row.revision, "I4", f"{post.key} is shown and was never wanted")
        assert row is not None
        self._never_ahead(post)
        if post.ts not in self.world.slack.posts:
            self._first_seen(post, row.id)

    def _never_ahead(self, post: Post) -> None:
        session = self.world.store.session(post.session_id)
        step = session.step(post.step_number)
        bold = set(_bold(post.blocks))
        if post.purpose is Purpose.CLOSING:
            over = session.status in FINAL_SESSIONS
            require(over, "I4", f"session {session.id} is shown as over and is {session.status.value}")
        if post.purpose is Purpose.GATE and step and step.gate and step.gate.serial == post.ordinal:
            for word in bold & {"Approved", "Rejected", "Expired", "Cancelled"}:
                said = step.gate.status.value == word.lower()
                require(said, "I4", f"{post.key} shows {word} and is {step.gate.status.value}")
        if post.purpose is Purpose.RESULT and step and step.attempt and step.attempt.number == post.ordinal:
            good = ") succeeded." in post.text or f", attempt {post.ordinal}, succeeded." in post.text
            require(not good or step.attempt.status is A.SUCCEEDED, "I4", f"{post.key} shows a success too early")

    def _first_seen(self, post: Post, row_id: int) -> None:
        newest = self.threads.get(post.session_id)
        again = self.posted[post.key] > 0
        self.posted[post.key] += 1
        require(not again or post.repeat or self.excused, "P08", f"{post.key} is shown twice, and not as a repeat")
        unreadable = Fault.SLACK_BLIND in self.world.dice.injected
        require(not again or unreadable or self.excused, "P08", f"{post.key} is shown twice; history was readable")
        if again:
            return
        root = post.purpose is Purpose.CARD
        require(root or newest is not None, "I7", f"{post.key} came before its thread")
        require(root or newest is None or row_id > newest, "I7", f"{post.key} came after what was wanted later")
        self.threads[post.session_id] = 0 if root else row_id

    def acknowledged(self, gate: str, person: Person, verdict: Verdict) -> None:
        """Somebody was told that their vote counts."""
        cast = gate, str(person), verdict.value
        require(cast in self.votes, "P01", f"{person} was told that a vote counts, and it is not stored")

    # ------------------------------------------------------------ the end

    def at_rest(self) -> None:
        """An hour after the last fault: everything has ended, waits for people, and is shown as it is."""
        store = self.world.store
        for session in store.sessions():
            self._rests(session)
            self._shown_as_it_is(session)
        undone = store.undone()
        require(not undone, "I14", f"requests {undone} were never carried out")
        for row in store.outbox():
            root = store.message(f"session/{row.session_id}/card/0/0")
            parked = root is not None and root.state == "dead"  # its thread has no root to hang on
            require(parked or row.state in {"sent", "dead"}, "I8", f"{row.key} is still {row.state}: {row.error}")
            dead_ok = self.world.dice.injected[Fault.SLACK_CLOSED] or row.state != "dead"
            require(dead_ok, "I8", f"{row.key} was given up: {row.error}")
        closed = Fault.SLACK_CLOSED in self.world.dice.injected
        lost = [key for key in sorted(self.results) if not self.posted[key]]
        require(closed or not lost, "I8", f"nobody was ever shown {lost}")

    def _rests(self, session: Session) -> None:
        if session.status is not SessionStatus.IN_PROGRESS:
            return
        step = session.current_step
        target = session.plan.target.id
        others = (other for other in self.world.store.sessions() if other.plan.target.id == target)
        blocked = any(o.status is SessionStatus.NEEDS_ATTENTION and _unknown(o) for o in others)
        waits = step is not None and step.status is S.QUEUED and blocked
        number = step.number if step else 0
        said = step.status.value if step else "no step"
        require(waits, "I14", f"session {session.id} never comes to rest: step {number} is {said}")

    def _shown_as_it_is(self, session: Session) -> None:
        if session.place is None or Fault.SLACK_CLOSED in self.world.dice.injected:
            return
        posts = [post for post in self.world.slack.posts.values() if post.session_id == session.id]
        for post in posts:
            step = session.step(post.step_number)
            gate = step.gate if step else None
            asks = gate is not None and gate.status is GateStatus.OPEN and gate.serial == post.ordinal
            stale = post.purpose is Purpose.GATE and post.has_buttons and not asks and self.posted[post.key] == 1
            require(not stale, "I4", f"{post.key} still has its buttons")
        over = session.status in FINAL_SESSIONS
        told = any(post.purpose is Purpose.CLOSING for post in posts)
        require(over == told, "I8", f"session {session.id} is {session.status.value}, its end is shown: {told}")


def _unknown(session: Session) -> bool:
    return any(step.status is S.UNKNOWN for step in session.steps)


def _index(session: Session, step: Step) -> int:
    return next(i for i, one in enumerate(session.steps) if one.number == step.number)


def _same(one: Target, other: Target) -> bool:
    return (one.id, one.fingerprint) == (other.id, other.fingerprint)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _text_of(parcel: Parcel) -> str:
    if parcel.view is not None:
        return json.dumps(parcel.view, sort_keys=True, ensure_ascii=False).replace("\\n", "\n")
    if parcel.file is not None:
        return parcel.file.content.decode("utf-8", "replace")
    assert parcel.rendered is not None
    return "\n".join([parcel.rendered.text, *_strings(parcel.rendered.blocks)])


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []


def _bold(value: object) -> list[str]:
    if isinstance(value, dict):
        bold = value.get("style") == {"bold": True} and isinstance(value.get("text"), str)
        return [str(value["text"])] if bold else [text for item in value.values() for text in _bold(item)]
    if isinstance(value, list):
        return [text for item in value for text in _bold(item)]
    return []
