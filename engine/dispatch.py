"""Starts the step that may run: check once more, claim, send.

The order is always intent, effect, record: the attempt row is committed before the first byte is sent, so that a
crash leaves a trace to follow. This is the only place that calls ``Connector.submit``, and it calls it once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from engine import events as ev
from engine.errors import Indeterminate, NotAllowed, Permanent, Precondition, TargetBusy, Transient, Unverifiable
from engine.model import AttemptStatus, GateStatus, Result, Session, Step, StepStatus
from engine.plan import digest_of
from engine.policy import eligible
from engine.ports import Command, Handle
from engine.reactions import basis_of
from engine.recorder import Recorder, look_again


class Dispatcher:
    """The task ``run``."""

    def __init__(self, rows: Recorder) -> None:
        self._rows = rows
        self._parts = rows.parts
        self._uow = rows.uow

    def run(self, session_id: str) -> None:
        """Start the session's step that may run, if there is one and its machine is free and ready."""
        session = self._rows.get(int(session_id))
        step = _ready_step(session, self._rows.now()) if session else None
        if session is None or step is None:
            return
        if self._voided(session, step) or not self._ready(session, step) or self._parts.stopping():
            return  # where the process is stopping, the row stays as it is: another one or the next start finds it
        claimed = self._claim(session, step)
        if claimed:
            self._send(*claimed)

    def _voided(self, session: Session, step: Step) -> bool:
        """Refuse to send anything but what was approved, by people who may still approve it."""
        if digest_of(session.plan) != session.digest:
            reason = "The stored plan is no longer the one that was hashed at the start; nothing was sent."
            return self._void(session, step, reason, fatal=True)
        if step.audience is None:
            reason = "The step asks for approval, but nobody is on record who may give it; nothing was sent."
            return step.planned.requires_approval and self._void(session, step, reason, fatal=True)
        if not _approval_covers(session, step):
            return self._void(session, step, "No approval of exactly this plan and attempt is on record.", fatal=True)
        try:
            lost = self._lost_votes(session, step)
        except Unverifiable as doubt:
            self._delay(session, step, str(doubt), self._parts.patience.throttled)
            return True
        if lost:
            return self._void(session, step, f"An approval no longer counts: {lost}", fatal=False)
        return False

    def _delay(self, session: Session, step: Step, reason: str, wait: timedelta) -> None:
        until = self._rows.now() + wait
        event = ev.Delayed(step_number=step.number, reason=reason, not_before=until, basis=basis_of(step))
        self._rows.record(session, event, "step_delayed", step.number)

    def _lost_votes(self, session: Session, step: Step) -> str:
        """Return why too few of the votes still count; empty when enough do."""
        assert step.gate is not None
        assert step.audience is not None
        able, why = 0, ""
        voters = {vote.actor.person for vote in step.gate.approvals}
        for person in eligible(step.audience, session.requester):
            if person not in voters:
                continue
            try:
                self._parts.directory.require_member(person)
                able += 1
            except Unverifiable:
                raise
            except NotAllowed as refusal:
                why = str(refusal)
        return "" if able >= step.audience.quorum else why or "too few people who may approve have voted."

    def _void(self, session: Session, step: Step, reason: str, *, fatal: bool) -> bool:
        event = ev.ApprovalVoided(step_number=step.number, reason=reason, fatal=fatal, basis=basis_of(step))
        self._rows.record(session, event, "approval_voided", step.number, {"reason": reason, "fatal": fatal})
        return True

    def _ready(self, session: Session, step: Step) -> bool:
        """Look at the machine once more before the claim."""
        number = step.number
        try:
            self._parts.preparation.require_ready(session.plan.target, step.planned.shell)
        except (Precondition, Permanent) as obstacle:
            event = ev.Blocked(step_number=number, reason=str(obstacle), basis=basis_of(step))
            self._rows.record(session, event, "step_blocked", number)
        except (Transient, Indeterminate) as trouble:
            retry_after = getattr(trouble, "retry_after", None)
            wait = timedelta(seconds=retry_after) if retry_after else self._parts.patience.throttled
            self._delay(session, step, str(trouble), wait)
        else:
            return True
        return False

    def _claim(self, session: Session, step: Step) -> tuple[Session, Step, Command] | None:
        """Write the attempt before anything is sent; None when the machine is busy or somebody else was first."""
        now = self._rows.now()
        attempt_id = self._parts.ids.ulid()
        answer_by = (
            now
            + self._parts.patience.start_within
            + timedelta(seconds=step.planned.timeout_seconds)
            + self._parts.patience.answer_grace
        )
        event = ev.Claimed(
            step_number=step.number,
            attempt_id=attempt_id,
            owner=self._parts.owner,
            not_after=now + self._parts.patience.start_within,
            hard_deadline=answer_by,
            guard_at=now + self._parts.patience.guard if self._parts.patience.guard else None,
            basis=basis_of(step),
        )
        try:
            after = self._rows.record(session, event, "step_claimed", step.number, {"attempt": attempt_id})
        except TargetBusy as busy:
            if step.status is StepStatus.APPROVED:
                delayed = ev.Delayed(step_number=step.number, reason=busy.message, basis=event.basis)
                self._rows.record(session, delayed, "step_queued", step.number)
            return None
        if after is None:
            return None
        claimed = after.step(step.number)
        assert claimed is not None
        # What was checked is what is sent: the rows were read again for the claim, and may have been changed meanwhile.
        checked = replace(after, plan=session.plan)
        return checked, claimed, command_for(checked, replace(claimed, planned=step.planned))

    def _send(self, session: Session, step: Step, command: Command) -> None:
        if self._parts.stopping():
            self._not_started(session, step, Transient("The bot was stopping; nothing was sent.", retry_after=1))
            return
        if not self._still_mine(step):
            self._parts.log("claim_lost", session_id=session.id, step=step.number, attempt=command.attempt_id)
            return
        self._parts.log(
            "[EXECUTE_STEP] sending",
            session_id=session.id,
            step=step.number,
            attempt=command.attempt_id,
            target=command.target.id,
        )
        connector = self._rows.connector(session.plan.target)
        try:
            handle = connector.submit(command)
        except (Transient, Permanent) as refusal:
            self._not_started(session, step, refusal)
        except Indeterminate as doubt:
            self._look_up_later(session, step, command, doubt)
        else:
            submitted(self._rows, session, command, handle)

    def _still_mine(self, step: Step) -> bool:
        """After a delay, look whether we were thought dead meanwhile: then whoever took over decides."""
        attempt = step.attempt
        assert attempt is not None
        assert attempt.created_at is not None
        assert attempt.not_after is not None
        now = self._rows.now()
        if now - attempt.created_at <= self._parts.patience.held_up:
            return True
        with self._uow() as uow:
            found = uow.attempts.get(attempt.id)
        return found is not None and found[0].owner == self._parts.owner and now < attempt.not_after

    def _not_started(self, session: Session, step: Step, refusal: Transient | Permanent) -> None:
        attempt = step.attempt
        assert attempt is not None
        retry_at = None
        if isinstance(refusal, Transient):
            wait = timedelta(seconds=refusal.retry_after) if refusal.retry_after else self._parts.patience.throttled
            retry_at = self._rows.now() + wait
        result = Result(status=AttemptStatus.NOT_STARTED, message=str(refusal))
        event = ev.Ended(attempt_id=attempt.id, result=result, retry_at=retry_at, owner=self._parts.owner)
        self._rows.record(
            session, event, "step_not_started", step.number, {"attempt": attempt.id, "reason": str(refusal)}
        )

    def _look_up_later(self, session: Session, step: Step, command: Command, doubt: Indeterminate) -> None:
        """It may have arrived: note that it must be looked up, and leave the rest to ``observe``."""
        with self._uow() as uow:
            found = uow.attempts.get(command.attempt_id)
            if found is None or found[0].owner != self._parts.owner or found[0].status is not AttemptStatus.SUBMITTING:
                self._parts.log("event_dropped", session_id=session.id, kind="submit_uncertain", reason="taken over")
                return
            uow.audit.append(
                "submit_uncertain",
                at=self._rows.now(),
                session_id=session.id,
                step_number=step.number,
                data={"attempt": command.attempt_id, "reason": str(doubt)},
            )
            uow.attempts.look_again(command.attempt_id, at=self._rows.now())
            uow.defer("observe", command.attempt_id)
            uow.commit()


def _ready_step(session: Session, now: datetime) -> Step | None:
    """Return the step that may be sent now."""
    step = session.current_step
    if step is None or session.paused_by or step.status not in {StepStatus.APPROVED, StepStatus.QUEUED}:
        return None
    if step.not_before is not None and step.not_before > now:
        return None
    return step


def command_for(session: Session, step: Step) -> Command:
    attempt = step.attempt
    assert attempt is not None
    assert attempt.not_after is not None
    return Command(
        attempt_id=attempt.id,
        session_id=session.id,
        step_number=step.number,
        attempt_number=attempt.number,
        target=session.plan.target,
        shell=step.planned.shell,
        script=step.planned.script,
        timeout_seconds=step.planned.timeout_seconds,
        not_after=attempt.not_after,
    )


def submitted(rows: Recorder, session: Session, command: Command, handle: Handle) -> None:
    """Record that the outside system has the command, and when to look at it first."""
    event = ev.Submitted(attempt_id=command.attempt_id, handle=dict(handle), owner=rows.parts.owner)
    wait = rows.connector(session.plan.target).describe().poll_seconds[0]

    def record() -> None:
        with rows.uow() as uow:
            facts = {"attempt": command.attempt_id}
            if rows.write(uow, session.id, event, kind="step_submitted", step_number=command.step_number, data=facts):
                uow.attempts.look_again(command.attempt_id, at=rows.now() + timedelta(seconds=wait))
                uow.commit()

    look_again(record)


def _approval_covers(session: Session, step: Step) -> bool:
    """Say whether the step's newest gate was approved for this plan and for the attempt that would follow."""
    gate = step.gate
    return (
        gate is not None
        and gate.status is GateStatus.APPROVED
        and gate.plan_digest == session.digest
        and gate.attempt <= step.attempts + 1 <= gate.attempt + step.planned.retries
    )
