"""The audit chain: every record carries the hash of the one before it, so no record can be changed unnoticed.

Records are written at the very end of a transaction, because the head of the chain is a lock that all writers share.
Nothing here may change or delete a record; the database refuses it, too. What a chain alone cannot show, a
shortened or wholly rewritten log, ``verify`` shows with an anchor that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select

from engine.ports import AuditRecord
from storage.ledgers import AuditRow
from storage.transaction import Transaction

GENESIS = "0" * 64
_COLUMNS = ("seq", "at", "kind", "session_id", "step_number", "actor", "source", "data", "previous", "hash")
_NEWEST = select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1)
_ADD = insert(AuditRow)
CHAIN_LOCK = 0x52554E_0001  # the number of the PostgreSQL lock on the head of the chain


class SqlAudit:
    """See ``engine.ports.Audit``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._unwritten: list[AuditRecord] = []

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
        record = AuditRecord(
            seq=0,
            at=at.astimezone(UTC),
            kind=kind,
            session_id=session_id,
            step_number=step_number,
            actor=actor,
            source=source,
            data=json.loads(_canonical(dict(data or {}))),  # what will be read back, so that the hash still fits
            previous="",
            hash="",
        )
        self._unwritten.append(record)

    def records(self, *, session_id: int | None = None, after: int = 0, limit: int = 1000) -> tuple[AuditRecord, ...]:
        self.flush()
        query = select(AuditRow).where(AuditRow.seq > after).order_by(AuditRow.seq).limit(limit)
        if session_id is not None:
            query = query.where(AuditRow.session_id == session_id)
        return tuple(map(_record, self._tx.db.execute(query).scalars()))

    def flush(self) -> None:
        """Link what was appended to the chain; the lock on its head is held until the transaction ends."""
        if not self._unwritten:
            return
        self._tx.serialise(CHAIN_LOCK)
        seq, previous = self._tx.db.execute(_NEWEST).one_or_none() or (0, GENESIS)
        rows = []
        for unwritten in self._unwritten:
            seq += 1
            record = _linked(replace(unwritten, seq=seq, previous=previous))
            previous = record.hash
            rows.append({name: getattr(record, name) for name in _COLUMNS})
        self._tx.write(_ADD, rows)
        self._unwritten.clear()


def hash_of(record: AuditRecord) -> str:
    """Return the hash that a record must carry: over all its columns and the hash of its predecessor."""
    content: list[Any] = [
        record.seq,
        record.at.astimezone(UTC).isoformat(timespec="microseconds"),
        record.kind,
        record.session_id,
        record.step_number,
        record.actor,
        record.source,
        record.data,
        record.previous,
    ]
    return hashlib.sha256(_canonical(content).encode("ascii")).hexdigest()


def verify(records: Iterable[AuditRecord], *, anchor: tuple[int, str] | None = None) -> list[str]:
    """Return what is wrong with a chain read from its beginning, one sentence each; nothing when it is whole.

    ``anchor`` is the number and hash of a record that was seen earlier and kept outside the database.
    """
    problems: list[str] = []
    seq, previous, seen = 0, GENESIS, None
    for record in records:
        if record.seq != seq + 1:
            problems.append(f"Record {seq + 1} should follow record {seq}, but record {record.seq} does.")
        if record.previous != previous:
            problems.append(f"Record {record.seq} does not continue the record before it.")
        if record.hash != hash_of(record):
            problems.append(f"Record {record.seq} was changed: its hash does not fit its content.")
        seq, previous = record.seq, record.hash
        seen = record.hash if anchor and record.seq == anchor[0] else seen
    if anchor and seen is None:
        problems.append(f"Record {anchor[0]} was seen earlier and is missing: the log was cut after record {seq}.")
    elif anchor and seen != anchor[1]:
        problems.append(f"Record {anchor[0]} is not the one that was seen earlier: the log was rewritten.")
    return problems


def _linked(record: AuditRecord) -> AuditRecord:
    return replace(record, hash=hash_of(record))


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        session_id=row.session_id,
        step_number=row.step_number,
        actor=row.actor,
        source=row.source,
        data=row.data,
        previous=row.previous,
        hash=row.hash,
    )
