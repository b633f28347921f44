"""The tables beside the sessions: what came in, what must be shown, the audit chain, who serves, small facts.

Rows of the audit chain are only ever added: triggers in the first migration refuse everything else.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.effects import Purpose
from storage.columns import Base, Digest, Json, Key, LongId, RowId
from storage.tables import SessionRow, partial

IS_WAITING = text("outbox.state IN ('ready', 'unknown')")  # see storage.tables for why this is text
IS_SENDING = text("outbox.state = 'sending'")


class InboxRow(Base):
    """A delivery that was acknowledged; its key acts once."""

    __tablename__ = "inbox"

    key: Mapped[Key]
    kind: Mapped[str]
    payload: Mapped[Json]
    received_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    answer: Mapped[str]

    __table_args__ = (partial("ix_inbox_undone", "kind", "received_at", where="done_at IS NULL"),)


class OutboxRow(Base):
    """A message that must be shown, and what is known of it in Slack."""

    __tablename__ = "outbox"

    id: Mapped[RowId]
    key: Mapped[str] = mapped_column(unique=True)
    purpose: Mapped[Purpose]
    session_id: Mapped[int | None] = mapped_column(ForeignKey(SessionRow.id))
    step_number: Mapped[int]
    ordinal: Mapped[int]
    team: Mapped[str]
    channel: Mapped[str]
    user_id: Mapped[str]
    wanted: Mapped[int]  # the session's version when it was last newly wanted: the order of wanting
    revision: Mapped[int]
    sent_revision: Mapped[int]
    ts: Mapped[str]
    payload: Mapped[Json]
    state: Mapped[str]
    tries: Mapped[int]
    not_before: Mapped[datetime | None]
    error: Mapped[str]
    sending_since: Mapped[datetime | None]
    sender: Mapped[str] = mapped_column(server_default="")  # the process that took it last

    __table_args__ = (
        CheckConstraint("state IN ('ready', 'sending', 'sent', 'unknown', 'dead')", name="state"),
        CheckConstraint("state <> 'sent' OR sent_revision = revision", name="sent"),
        CheckConstraint("sent_revision <= revision", name="revision"),
        Index("ix_outbox_session_id", "session_id"),
        partial("ix_outbox_due", "id", where="state IN ('ready', 'unknown')"),
        partial("ix_outbox_sending", "sending_since", where="state = 'sending'"),
        {"sqlite_autoincrement": True},
    )


class AuditRow(Base):
    """One link of the audit chain."""

    __tablename__ = "audit_events"

    seq: Mapped[LongId] = mapped_column(autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str]
    session_id: Mapped[int | None]
    step_number: Mapped[int | None]
    actor: Mapped[str]
    source: Mapped[str]
    data: Mapped[Json]
    previous: Mapped[Digest]
    hash: Mapped[Digest]

    __table_args__ = (Index("ix_audit_events_session_id", "session_id", "seq"),)


class ReplicaRow(Base):
    """A process that serves this database on PostgreSQL; all times are the database's."""

    __tablename__ = "replicas"

    owner: Mapped[Key]
    host: Mapped[str]
    version: Mapped[str]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    gone_since: Mapped[datetime | None]  # when another replica first saw that nobody holds its lock


class SettingRow(Base):
    """One small fact about this installation."""

    __tablename__ = "settings"

    name: Mapped[Key]
    value: Mapped[str] = mapped_column(Text)
