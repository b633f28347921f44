"""The sessions in the database: adding, loading and saving one life of a plan.

A write counts only if the version is still the one that was read (compare-and-set); whoever comes second gets
``Conflict`` and nothing of theirs is stored. No rule of the life cycle may appear here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from sqlalchemy import bindparam, func, insert, literal, select, update
from sqlalchemy.sql.dml import ReturningInsert

from engine.errors import Bug, Conflict, Stale, TargetBusy
from engine.model import Attempt, Gate, Output, Session, Step, StepStatus
from engine.ports import EarlierResult
from storage.listings import Listings
from storage.mapping import (
    Values,
    attempt_values,
    changed,
    decision_values,
    gate_values,
    session_plan,
    session_state,
    step_plan,
    step_state,
)
from storage.restoring import earlier_from
from storage.tables import HOLDS_TARGET, AttemptRow, DecisionRow, EarlierResultRow, GateRow, SessionRow, StepRow
from storage.transaction import insert as insert_or

_MAY_RUN = frozenset({StepStatus.APPROVED, StepStatus.QUEUED})

# Each statement is put together once: building it costs more than running it. What is saved comes as its values.
_ADD_STEPS = insert(StepRow)
_ADD_GATE = insert(GateRow)
_SAVE_HEAD = update(SessionRow).where(
    SessionRow.id == bindparam("was_id"), SessionRow.version == bindparam("was_version")
)
_SAVE_STEP = update(StepRow).where(
    StepRow.session_id == bindparam("of_session"), StepRow.step_number == bindparam("number")
)
_LAST_IN_QUEUE = select(func.coalesce(func.max(StepRow.queue_number), 0)).where(StepRow.queue_number.is_not(None))
_QUEUE_STEP = _SAVE_STEP.values(queue_number=_LAST_IN_QUEUE.scalar_subquery() + 1)
_SAVE_GATE = update(GateRow).where(GateRow.id == bindparam("gate"))
_SAVE_ATTEMPT = update(AttemptRow).where(AttemptRow.id == bindparam("attempt"))
_SAVE_OWN_ATTEMPT = _SAVE_ATTEMPT.where(
    AttemptRow.owner == bindparam("whose"), AttemptRow.status == bindparam("before", type_=AttemptRow.status.type)
)


@cache
def _add_session(*, on_postgres: bool) -> ReturningInsert[int]:
    statement = insert_or(SessionRow, on_postgres=on_postgres)
    return statement.on_conflict_do_nothing(index_elements=[SessionRow.request_key]).returning(SessionRow.id)


class SqlSessions(Listings):
    """See ``engine.ports.Sessions``."""

    def add(self, session: Session, *, request_key: str) -> Session:
        values = {**session_plan(session), **session_state(session), "request_key": request_key}
        statement = _add_session(on_postgres=self._tx.on_postgres)
        new_id = self._tx.db.connection().execute(statement, values).scalar_one_or_none()
        if new_id is None:
            raise Stale("This request has already started a session.")  # between our look and this
        added = replace(session, id=new_id)
        self._tx.write(_ADD_STEPS, [self._new_step(added, step) for step in added.steps])
        for step in added.steps:
            self._save_gate(added, None, step)
            self._save_attempt(added, None, step)
        return added

    def save(self, session: Session, *, was: Session) -> None:
        if session == was:
            return
        if session.id != was.id or session.version <= was.version:
            raise Bug(f"Session {was.id} changed but its version did not rise.")
        self._save_head(session, was)
        before = {step.number: step for step in was.steps}
        pairs = [(before[step.number], step) for step in session.steps if step != before[step.number]]
        for old, step in pairs:
            self._keep_result(session, old, step)
            self._save_step(session, old, step)
            self._save_gate(session, old, step)
            self._save_attempt(session, old, step)

    def output(self, session_id: int, step_number: int) -> Output:
        found = self._tx.db.execute(
            select(StepRow.output, StepRow.error, StepRow.output_bytes, StepRow.error_bytes, StepRow.truncated).where(
                StepRow.session_id == session_id, StepRow.step_number == step_number
            )
        ).one_or_none()
        if found is None:
            return Output()
        stdout, stderr, stdout_bytes, stderr_bytes, truncated = found
        return Output(
            stdout=stdout, stderr=stderr, stdout_bytes=stdout_bytes, stderr_bytes=stderr_bytes, truncated=truncated
        )

    def earlier(self, session_id: int, step_number: int, number: int) -> EarlierResult | None:
        where = AttemptRow.session_id == session_id, AttemptRow.step_number == step_number, AttemptRow.number == number
        found = self._tx.db.execute(
            select(AttemptRow, EarlierResultRow)
            .join(EarlierResultRow, EarlierResultRow.attempt_id == AttemptRow.id)
            .where(*where)
        ).one_or_none()
        return None if found is None else earlier_from(*found)

    def store_output(self, session_id: int, step_number: int, output: Output) -> None:
        values = {
            "output": output.stdout,
            "error": output.stderr,
            "output_bytes": output.stdout_bytes,
            "error_bytes": output.stderr_bytes,
            "truncated": output.truncated,
        }
        self._tx.write(_SAVE_STEP, {**values, "of_session": session_id, "number": step_number})

    # ------------------------------------------------------------ parts of save

    def _save_head(self, session: Session, was: Session) -> None:
        # The one place where two people who act at once are told apart: the second finds no row any more.
        written = self._tx.write(
            _SAVE_HEAD,
            {**changed(session_state(was), session_state(session)), "was_id": was.id, "was_version": was.version},
        )
        if not written:
            raise Stale(f"Session {was.id} was changed by somebody else first.", hint="Look at it again.")

    def _new_step(self, session: Session, step: Step) -> Values:
        number = step.number if step.status in _MAY_RUN else None
        return {"session_id": session.id, **step_plan(step), **step_state(step), "queue_number": number}

    def _save_step(self, session: Session, old: Step, step: Step) -> None:
        values = changed(step_state(old), step_state(step))
        may, could = step.status in _MAY_RUN, old.status in _MAY_RUN
        if could and not may:
            values["queue_number"] = None
        if values:
            statement = _QUEUE_STEP if may and not could else _SAVE_STEP
            self._tx.write(statement, {**values, "of_session": session.id, "number": step.number})

    def _keep_result(self, session: Session, old: Step, step: Step) -> None:
        """A new attempt takes the place of the old one in the step's row; what the old one brought is put aside."""
        attempt = old.attempt
        if attempt is None or step.attempt is None or step.attempt.id == attempt.id:
            return
        columns = [column.name for column in EarlierResultRow.__table__.columns if column.name != "attempt_id"]
        kept = select(literal(attempt.id), *(getattr(StepRow, name) for name in columns)).where(
            StepRow.session_id == session.id, StepRow.step_number == step.number
        )
        self._tx.write(insert(EarlierResultRow).from_select(["attempt_id", *columns], kept))

    def _save_gate(self, session: Session, old: Step | None, step: Step) -> None:
        gate, before = step.gate, old.gate if old else None
        if gate is None or gate == before:
            return
        if old is not None and before is not None and before.id == gate.id:
            values = changed(gate_values(before, old), gate_values(gate, step))
            if values:
                self._tx.write(_SAVE_GATE, {**values, "gate": gate.id})
            self._add_decisions(gate, len(before.decisions))
            return
        self._tx.write(_ADD_GATE, [{"session_id": session.id, **gate_values(gate, step)}])
        self._add_decisions(gate, 0)

    def _add_decisions(self, gate: Gate, known: int) -> None:
        for decision in gate.decisions[known:]:
            person = "person_enterprise", "person_team", "person_user", "verdict"
            if not self._tx.insert_once(DecisionRow, decision_values(decision, gate), "gate_id", *person):
                raise Conflict("This person has already decided on this request.")

    def _save_attempt(self, session: Session, old: Step | None, step: Step) -> None:
        attempt, before = step.attempt, old.attempt if old else None
        if attempt is None:
            return
        if old is not None and before is not None and before.id == attempt.id:
            values = changed(attempt_values(before, old), attempt_values(attempt, step))
            if values:
                mine = {"attempt": attempt.id, "whose": before.owner, "before": before.status}
                if not self._tx.write(_SAVE_OWN_ATTEMPT, {**values, **mine}):
                    raise Stale(f"Attempt {attempt.id} was taken over.", hint="Look at it again.")
            return
        if before is not None:
            self._tx.write(_SAVE_ATTEMPT, {"attempt": before.id, "holds_target": False})
        self._add_attempt(session, attempt, step)

    def _add_attempt(self, session: Session, attempt: Attempt, step: Step) -> None:
        target_id = session.plan.target.id
        values = {"session_id": session.id, "target_id": target_id, **attempt_values(attempt, step)}
        # The partial unique index is the lock on the machine; a lost race is an answer, not an accident.
        if not self._tx.insert_once(AttemptRow, values, "target_id", where="holds_target"):
            holder = next(iter(self._holders(target_id)), None)
            who = f"Session {holder}" if holder else "Another session"
            raise TargetBusy(f"{who} is running a command on {session.plan.target.name}.")

    def _holders(self, target_id: str) -> Iterable[int]:
        held = select(AttemptRow.session_id).where(AttemptRow.target_id == target_id, HOLDS_TARGET)
        return self._tx.db.execute(held).scalars()
