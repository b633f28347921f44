"""Follows what was sent until it is known how it ended, and clears up behind it.

A command that may have arrived is looked up by its name, never sent again. What cannot be proven is called
unknown. Every task may come twice, late or never.
"""

from __future__ import annotations

from datetime import timedelta

from engine import events as ev
from engine.dispatch import command_for, submitted
from engine.errors import Indeterminate, Permanent, Transient
from engine.expect import capture, judge
from engine.model import TERMINAL_ATTEMPTS, Attempt, AttemptStatus, Output, Result, Session, Step, Target
from engine.output import clean
from engine.ports import Handle, Observation, RawResult
from engine.recorder import Recorder

LOOKED_FOR = timedelta(days=1)  #: how long a command that was never found is looked for once it may not start any more
STORED_BYTES = 256 * 1024  #: of each stream of one attempt


class Watcher:
    """The tasks ``observe``, ``cancel`` and ``cleanup``."""

    def __init__(self, rows: Recorder) -> None:
        self._rows = rows
        self._parts = rows.parts
        self._uow = rows.uow

    def observe(self, attempt_id: str) -> None:
        """Look what became of an attempt, and record what is proven."""
        found = self._rows.attempt(attempt_id)
        if found is None:
            return
        session, step, attempt, looks = found
        if attempt.status is AttemptStatus.SUBMITTING:
            self._reconcile(session, step, attempt, looks)
            return
        observation = self._look(session, attempt)
        if observation is None or observation.result is None:
            if observation and observation.running and attempt.status is AttemptStatus.ACCEPTED:
                self._rows.record(session, ev.SeenRunning(attempt_id=attempt_id), "step_running", step.number)
            self._keep_watching(session, step, attempt, looks)
            return
        self._ended(session, step, attempt, observation.result)

    def _look(self, session: Session, attempt: Attempt) -> Observation | None:
        """Ask the machine's connector; None when it has no answer this time."""
        try:
            seen = self._rows.connector(session.plan.target).observe(session.plan.target, [attempt.handle])
        except (Transient, Indeterminate, Permanent) as trouble:
            self._parts.log("observe_failed", attempt=attempt.id, reason=str(trouble))
            return None
        return seen.get(attempt.id)

    def _keep_watching(self, session: Session, step: Step, attempt: Attempt, looks: int) -> None:
        now = self._rows.now()
        if attempt.hard_deadline and now >= attempt.hard_deadline:
            self._give_up(session, step, attempt)
            return
        self._rows.observe_again(attempt.id, now + self._pause(session, looks))

    def _pause(self, session: Session, looks: int) -> timedelta:
        try:
            waits = self._rows.connector(session.plan.target).describe().poll_seconds
        except Permanent:
            return self._parts.patience.throttled
        return timedelta(seconds=waits[min(looks, len(waits) - 1)])

    def _give_up(self, session: Session, step: Step, attempt: Attempt) -> None:
        """The deadline has passed: ask the machine itself once, then say that nobody knows."""
        try:
            found = self._rows.connector(session.plan.target).probe(attempt.handle)
        except (Transient, Indeterminate, Permanent) as trouble:
            found = RawResult(status=AttemptStatus.UNKNOWN, exit_code=None, message=str(trouble))
        if found is None:
            found = RawResult(
                status=AttemptStatus.UNKNOWN,
                exit_code=None,
                message="It still runs, long after its time limit.",
            )
        self._ended(session, step, attempt, found)

    def _reconcile(self, session: Session, step: Step, attempt: Attempt, looks: int) -> None:
        """A command that may have been sent: find it by its name, or prove that it never arrived."""
        if not self._taken_over(session, step, attempt):
            return
        command = command_for(session, step)
        try:
            handle = self._rows.connector(session.plan.target).reconcile(command)
        except (Transient, Indeterminate, Permanent) as trouble:
            self._doubt(session, step, attempt, looks, str(trouble))
            return
        if handle is not None:
            submitted(self._rows, session, command, handle)
        elif self._rows.now() > command.not_after + self._parts.patience.clock_skew and self._looked_enough(looks):
            self._never_arrived(session, step, attempt)
        else:
            self._look_up_again(attempt, looks)

    def _taken_over(self, session: Session, step: Step, attempt: Attempt) -> bool:
        """Become the one who follows it; False while its sender may still be at it."""
        with self._uow() as uow:
            taken = uow.attempts.take_over(attempt.id, now=self._rows.now())
            if taken and attempt.owner != self._parts.owner:
                uow.audit.append(
                    "attempt_taken_over",
                    at=self._rows.now(),
                    session_id=session.id,
                    step_number=step.number,
                    data={"attempt": attempt.id, "from": attempt.owner, "by": self._parts.owner},
                )
                uow.commit()
        return taken

    def _looked_enough(self, looks: int) -> bool:
        """One look proves nothing: Azure shows late what it accepted, and our own clock may have jumped ahead."""
        return looks >= len(self._parts.patience.lookups)

    def _never_arrived(self, session: Session, step: Step, attempt: Attempt) -> None:
        """Not found under its name, and too late to start now: the guard on the machine would refuse it."""
        result = Result(
            status=AttemptStatus.NOT_STARTED,
            message="It never arrived: it is not known under its name, and its start deadline has passed.",
        )
        event = ev.Ended(attempt_id=attempt.id, result=result, owner=self._parts.owner)
        self._rows.record(session, event, "step_not_started", step.number, {"attempt": attempt.id})

    def _look_up_again(self, attempt: Attempt, looks: int) -> None:
        waits = self._parts.patience.lookups
        wait = timedelta(seconds=waits[min(max(looks, 1), len(waits) - 1)])  # the sender counted one by asking for it
        self._rows.observe_again(attempt.id, self._rows.now() + wait)

    def _doubt(self, session: Session, step: Step, attempt: Attempt, looks: int, reason: str) -> None:
        now = self._rows.now()
        if attempt.hard_deadline and now >= attempt.hard_deadline:
            lost = RawResult(status=AttemptStatus.UNKNOWN, exit_code=None, message=reason)
            self._ended(session, step, attempt, lost)
            return
        self._look_up_again(attempt, looks)

    def _ended(self, session: Session, step: Step, attempt: Attempt, raw: RawResult) -> None:
        """Record how an attempt ended, judged by what the step expects."""
        output = self._output(raw)
        status, verdict = raw.status, ""
        captured: tuple[tuple[str, str], ...] = ()
        if status in {AttemptStatus.SUCCEEDED, AttemptStatus.FAILED}:
            verdict = judge(step.planned.expect, exit_code=raw.exit_code, stdout=output.stdout)
            status = AttemptStatus.FAILED if verdict else AttemptStatus.SUCCEEDED
            captured = capture(step.planned.capture, output.stdout)
        result = Result(
            status=status,
            exit_code=raw.exit_code,
            output=output,
            duration_seconds=raw.duration_seconds,
            message="" if status is AttemptStatus.SUCCEEDED else raw.message,
        )
        sought = attempt.status is AttemptStatus.SUBMITTING  # then it is ours; whatever runs is anybody's to follow
        owner = self._parts.owner if sought else ""
        event = ev.Ended(attempt_id=attempt.id, result=result, verdict=verdict, captured=captured, owner=owner)
        facts = {"attempt": attempt.id, "outcome": status.value, "exit_code": raw.exit_code}
        self._rows.record(session, event, "step_ended", step.number, facts)
        self._parts.log("[EXECUTE_STEP] ended", session_id=session.id, step=step.number, **facts)

    def _output(self, raw: RawResult) -> Output:
        lost_out, lost_err = raw.stdout_bytes > len(raw.stdout), raw.stderr_bytes > len(raw.stderr)
        secrets = self._parts.secrets
        stdout, cut_out = clean(raw.stdout, limit_bytes=STORED_BYTES, secrets=secrets, headless=lost_out)
        stderr, cut_err = clean(raw.stderr, limit_bytes=STORED_BYTES, secrets=secrets, headless=lost_err)
        return Output(
            stdout=stdout,
            stderr=stderr,
            stdout_bytes=max(raw.stdout_bytes, len(raw.stdout)),
            stderr_bytes=max(raw.stderr_bytes, len(raw.stderr)),
            truncated=cut_out or cut_err or lost_out or lost_err,
        )

    def cancel(self, attempt_id: str) -> None:
        """Ask the machine to stop a command; what is proven comes with the next observation."""
        found = self._rows.attempt(attempt_id)
        if found is None or not found[2].cancel_requested or found[2].status is AttemptStatus.SUBMITTING:
            return
        session, step, attempt, _ = found
        try:
            answer = self._rows.connector(session.plan.target).cancel(attempt.handle).value
        except (Transient, Indeterminate, Permanent) as trouble:
            answer = f"not confirmed: {trouble}"
        with self._uow() as uow:
            uow.audit.append(
                "cancel_sent",
                at=self._rows.now(),
                session_id=session.id,
                step_number=step.number,
                data={"attempt": attempt.id, "answer": answer},
            )
            uow.attempts.look_again(attempt.id, at=self._rows.now())
            uow.defer("observe", attempt.id)
            uow.commit()

    def cleanup(self, attempt_id: str) -> None:
        """Remove what an ended attempt left outside; tried again until it is gone."""
        with self._uow() as uow:
            found = uow.attempts.get(attempt_id)
        if found is None or found[0].status not in TERMINAL_ATTEMPTS:
            return
        attempt, target = found
        again: float | None = None
        try:
            handle = attempt.handle or self._left_behind(attempt, target)
            again = self._rows.connector(target).cleanup(handle) if handle else None
        except (Transient, Indeterminate, Permanent) as trouble:
            self._parts.log("cleanup_failed", attempt=attempt_id, reason=str(trouble))
            again = None if self._long_gone(attempt) else getattr(trouble, "retry_after", None) or 300.0
        with self._uow() as uow:
            if again is None:
                uow.attempts.cleaned(attempt_id, at=self._rows.now())
            else:
                uow.attempts.clean_later(attempt_id, at=self._rows.now() + timedelta(seconds=again))
            uow.commit()

    def _long_gone(self, attempt: Attempt) -> bool:
        """Say whether nobody ever found this command and its machine would have refused it for a day."""
        refused = attempt.not_after and attempt.not_after + LOOKED_FOR
        return not attempt.handle and refused is not None and refused <= self._rows.now()

    def _left_behind(self, attempt: Attempt, target: Target) -> Handle | None:
        """Look once more for a command that nobody could find: if it arrived, it must not stay on the machine."""
        connector = self._rows.connector(target)
        if attempt.status is not AttemptStatus.UNKNOWN or connector.describe().cancel == "none":
            return None  # it never arrived, or it has no name to be removed by
        with self._uow() as uow:
            number = uow.sessions.by_attempt(attempt.id)
            session = uow.sessions.get(number) if number is not None else None
        steps = session.steps if session else ()
        step = next((one for one in steps if one.attempt and one.attempt.id == attempt.id), None)
        return connector.reconcile(command_for(session, step)) if session and step else None
