"""Deliveries that were acknowledged: each key acts once, and what is not done yet is not forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select, update

from engine.ports import InboxItem
from storage.ledgers import InboxRow
from storage.loading import FRESH
from storage.transaction import Transaction


class SqlInbox:
    """See ``engine.ports.Inbox``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def accept(self, key: str, kind: str, payload: Mapping[str, str], *, at: datetime, done: bool) -> bool:
        values = {
            "key": key,
            "kind": kind,
            "payload": dict(payload),
            "received_at": at,
            "done_at": at if done else None,
            "answer": "",
        }
        return self._tx.insert_once(InboxRow, values, "key")

    def get(self, key: str) -> InboxItem | None:
        query = select(InboxRow).where(InboxRow.key == key, InboxRow.done_at.is_(None))
        row = self._tx.db.execute(query, execution_options=FRESH).scalar_one_or_none()
        if row is None:
            return None
        return InboxItem(key=row.key, kind=row.kind, payload=dict(row.payload), received_at=row.received_at)

    def done(self, key: str, *, at: datetime, answer: str = "") -> None:
        undone = update(InboxRow).where(InboxRow.key == key, InboxRow.done_at.is_(None))
        self._tx.write(undone.values(done_at=at, answer=answer))
