"""Loading whole sessions in four statements: heads, steps, gates with their decisions, attempts.

Every statement brings the version of the session it saw. A session whose parts do not agree was changed between two
of them; it is left out, and whoever loads asks again. Nothing here may write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from functools import cache

from sqlalchemy import BindParameter, Select, bindparam, select

from engine.model import Attempt, Gate, Session, Step
from storage.restoring import attempt_from, audience_from, gate_from, session_from, step_from
from storage.tables import AttemptRow, DecisionRow, GateRow, SessionRow, StepRow
from storage.transaction import Transaction

FRESH = {"populate_existing": True}  # what an earlier statement of this transaction saw may be outdated

Place = tuple[int, int]  # session id and step number
Wanted = dict[str, list[int]]  # what the statements are asked with


class Loading:
    """One reading of some sessions; ``sessions`` holds those whose parts agree."""

    def __init__(self, tx: Transaction, ids: Collection[int]) -> None:
        self._tx = tx
        wanted = {"ids": list(ids)}
        self._heads = {row.id: row for row in tx.db.execute(_heads(), wanted, execution_options=FRESH).scalars()}
        self._versions = {row.id: row.version for row in self._heads.values()}
        self._torn: set[int] = set()
        self._steps = self._read_steps(wanted)
        self._gates = self._read_gates(wanted)
        self._attempts = self._read_attempts(wanted)

    @property
    def sessions(self) -> dict[int, Session]:
        whole = self._heads.keys() - self._torn
        return {number: session_from(self._heads[number], self._steps_of(number)) for number in whole}

    def _read_steps(self, wanted: Wanted) -> dict[int, list[StepRow]]:
        rows: dict[int, list[StepRow]] = defaultdict(list)
        for row, version in self._tx.db.execute(_steps(), wanted, execution_options=FRESH):
            self._compare(row.session_id, version)
            rows[row.session_id].append(row)
        return rows

    def _read_gates(self, wanted: Wanted) -> dict[Place, tuple[GateRow, list[DecisionRow]]]:
        """Return the newest gate of each step with the votes on it."""
        gates: dict[Place, tuple[GateRow, list[DecisionRow]]] = {}
        for row, decision, version in self._tx.db.execute(_gates(), wanted, execution_options=FRESH):
            self._compare(row.session_id, version)
            place = row.session_id, row.step_number
            if place not in gates or gates[place][0].id != row.id:
                gates[place] = row, []
            if decision is not None:
                gates[place][1].append(decision)
        return gates

    def _read_attempts(self, wanted: Wanted) -> dict[Place, Attempt]:
        """Return the newest attempt of each step."""
        attempts: dict[Place, Attempt] = {}
        for row, version in self._tx.db.execute(_attempts(), wanted, execution_options=FRESH):
            self._compare(row.session_id, version)
            attempts[row.session_id, row.step_number] = attempt_from(row)
        return attempts

    def _compare(self, session_id: int, version: int) -> None:
        if self._versions.get(session_id) != version:
            self._torn.add(session_id)

    def _steps_of(self, session_id: int) -> list[Step]:
        return [self._step(row) for row in self._steps[session_id]]

    def _step(self, row: StepRow) -> Step:
        place = row.session_id, row.step_number
        return step_from(row, self._gate(row, place), self._attempts.get(place))

    def _gate(self, row: StepRow, place: Place) -> Gate | None:
        if place not in self._gates:
            return None
        gate, decisions = self._gates[place]
        return gate_from(gate, audience_from(row.audience), decisions)


def _ids() -> BindParameter[int]:
    return bindparam("ids", expanding=True)


# Each statement is put together once: sessions are loaded so often that building them would cost more than running.


@cache
def _heads() -> Select[SessionRow]:
    return select(SessionRow).where(SessionRow.id.in_(_ids()))


@cache
def _steps() -> Select[StepRow, int]:
    return (
        select(StepRow, SessionRow.version)
        .join(SessionRow, SessionRow.id == StepRow.session_id)
        .where(StepRow.session_id.in_(_ids()))
        .order_by(StepRow.session_id, StepRow.step_number)
    )


@cache
def _gates() -> Select[GateRow, DecisionRow, int]:
    return (
        select(GateRow, DecisionRow, SessionRow.version)
        .join(SessionRow, SessionRow.id == GateRow.session_id)
        .join(DecisionRow, DecisionRow.gate_id == GateRow.id, isouter=True)
        .where(GateRow.session_id.in_(_ids()))
        .order_by(GateRow.serial, DecisionRow.id)
    )


@cache
def _attempts() -> Select[AttemptRow, int]:
    return (
        select(AttemptRow, SessionRow.version)
        .join(SessionRow, SessionRow.id == AttemptRow.session_id)
        .where(AttemptRow.session_id.in_(_ids()))
        .order_by(AttemptRow.number)
    )
