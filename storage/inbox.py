"""Deliveries that were acknowledged: each key acts once, and what is not done yet is not forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import bindparam, or_, select, update

from engine.ports import InboxItem
from storage.ledgers import InboxRow
from storage.loading import FRESH
from storage.transaction import Transaction

_KNOWN = InboxRow.key == bindparam("known")
_UNDONE = select(InboxRow).where(_KNOWN, InboxRow.done_at.is_(None))
_CLOSE = update(InboxRow).where(_KNOWN, or_(InboxRow.done_at.is_(None), InboxRow.answer == ""))
_ANSWER = select(InboxRow.answer).where(_KNOWN)


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
        row = self._tx.db.execute(_UNDONE, {"known": key}, execution_options=FRESH).scalar_one_or_none()
        if row is None:
            return None
        return InboxItem(key=row.key, kind=row.kind, payload=dict(row.payload), received_at=row.received_at)

    def done(self, key: str, *, at: datetime, answer: str = "") -> None:
        self._tx.write(_CLOSE, {"known": key, "done_at": at, "answer": answer})

    def answer(self, key: str) -> str:
        return self._tx.db.execute(_ANSWER, {"known": key}).scalar_one_or_none() or ""
