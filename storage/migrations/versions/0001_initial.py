"""The first tables.

The audit chain is only ever added to: triggers refuse every other change to it, whoever asks. This file says what
the tables were on the day it was written; it must never import them, and never change again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True)
ACTIVE = "status NOT IN ('completed', 'completed_unverified', 'failed', 'rejected', 'expired', 'cancelled')"
LIVE = "status IN ('submitting', 'accepted', 'running')"


def upgrade() -> None:
    _execution_sessions()
    _execution_steps()
    _gates()
    _decisions()
    _attempts()
    _earlier_results()
    _inbox()
    _outbox()
    _audit_events()
    _settings()
    _append_only()


def choice(name: str, *values: str) -> sa.Enum:
    """A short text out of a closed set."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)


def partial(name: str, table: str, columns: list[str], *, where: str, unique: bool = False) -> None:
    """Create an index over some rows only, the same in both databases."""
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _execution_sessions() -> None:
    op.create_table(
        "execution_sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            choice(
                "sessionstatus",
                "pending",
                "in_progress",
                "waiting_approval",
                "paused",
                "needs_attention",
                "completed",
                "completed_unverified",
                "failed",
                "rejected",
                "expired",
                "cancelled",
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("waiting_for_approval", sa.Boolean(), nullable=False),
        sa.Column("approval_step_number", sa.Integer(), nullable=True),
        sa.Column("current_step", sa.Integer(), nullable=True),
        sa.Column("rolling_back", sa.Boolean(), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.Column("cancelled_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("runbook_name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("risk", choice("risk", "none", "low", "medium", "high"), nullable=False),
        sa.Column("runbook_digest", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("plan_format", sa.Integer(), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("target_name", sa.Text(), nullable=False),
        sa.Column("target_group", sa.Text(), nullable=False),
        sa.Column("target_os", sa.Text(), nullable=False),
        sa.Column("target_fingerprint", sa.Text(), nullable=False),
        sa.Column("target_location", sa.Text(), nullable=False),
        sa.Column("requester_enterprise", sa.Text(), nullable=False),
        sa.Column("requester_team", sa.Text(), nullable=False),
        sa.Column("requester_user", sa.Text(), nullable=False),
        sa.Column("requester_name", sa.Text(), nullable=False),
        sa.Column("requester_source", choice("source", "slack", "home", "api", "cli", "system"), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            f"(finished_at IS NOT NULL) = (NOT ({ACTIVE}))", name=op.f("ck_execution_sessions_finished")
        ),
        sa.CheckConstraint(f"current_step IS NULL OR {ACTIVE}", name=op.f("ck_execution_sessions_current_step")),
        sa.CheckConstraint(
            "waiting_for_approval = (status = 'waiting_approval')", name=op.f("ck_execution_sessions_waiting")
        ),
        sa.CheckConstraint("(team IS NULL) = (channel IS NULL)", name=op.f("ck_execution_sessions_place")),
        sa.CheckConstraint(
            "waiting_for_approval = (approval_step_number IS NOT NULL)",
            name=op.f("ck_execution_sessions_approval_step"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_execution_sessions")),
        sa.UniqueConstraint("request_key", name=op.f("uq_execution_sessions_request_key")),
        sqlite_autoincrement=True,
    )
    partial("ix_execution_sessions_active", "execution_sessions", ["id"], where=ACTIVE)
    op.create_index("ix_execution_sessions_requester", "execution_sessions", ["requester_user", "requester_team", "id"])
    op.create_index("ix_execution_sessions_run", "execution_sessions", ["runbook_name", "target_id", "id"])
    op.create_index("ix_execution_sessions_status", "execution_sessions", ["status", "id"])
    partial("ix_execution_sessions_target", "execution_sessions", ["target_id"], where=ACTIVE)
    op.create_index("ix_execution_sessions_ticket", "execution_sessions", ["ticket", "id"])


def _execution_steps() -> None:
    op.create_table(
        "execution_steps",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("step_type", choice("phase", "precheck", "main", "postcheck", "rollback"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", choice("stepkind", "command", "manual"), nullable=False),
        sa.Column("risk", choice("risk", "none", "low", "medium", "high"), nullable=False),
        sa.Column("requires_approval", sa.Boolean(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("shell", choice("shell", "bash", "powershell"), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("on_failure", choice("onfailure", "stop", "continue", "rollback", "ask"), nullable=False),
        sa.Column("expect", JSON, nullable=False),
        sa.Column("capture", JSON, nullable=False),
        sa.Column("undoes", sa.Integer(), nullable=False),
        sa.Column("audience", JSON, nullable=True),
        sa.Column(
            "status",
            choice(
                "stepstatus",
                "pending",
                "waiting_approval",
                "approved",
                "queued",
                "running",
                "succeeded",
                "failed",
                "timed_out",
                "unknown",
                "skipped",
                "rejected",
                "expired",
                "cancelled",
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("output", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("output_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("truncated", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("captured", JSON, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("not_before", MOMENT, nullable=True),
        sa.Column("queue_number", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(queue_number IS NOT NULL) = (status IN ('approved', 'queued'))", name=op.f("ck_execution_steps_queue")
        ),
        sa.CheckConstraint(
            "approved IS NULL OR status NOT IN ('pending', 'waiting_approval')",
            name=op.f("ck_execution_steps_approved"),
        ),
        sa.CheckConstraint(
            "completed = (status IN ('succeeded', 'failed', 'timed_out'))", name=op.f("ck_execution_steps_completed")
        ),
        sa.CheckConstraint(
            "success IS NULL OR success = (status = 'succeeded')", name=op.f("ck_execution_steps_success")
        ),
        sa.CheckConstraint("completed = (success IS NOT NULL)", name=op.f("ck_execution_steps_finished")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["execution_sessions.id"], name=op.f("fk_execution_steps_session_id_execution_sessions")
        ),
        sa.PrimaryKeyConstraint("session_id", "step_number", name=op.f("pk_execution_steps")),
    )
    partial("ix_execution_steps_queue", "execution_steps", ["queue_number"], where="queue_number IS NOT NULL")


def _gates() -> None:
    op.create_table(
        "gates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column(
            "status", choice("gatestatus", "open", "approved", "rejected", "expired", "cancelled"), nullable=False
        ),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("remind_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("reminded", sa.Boolean(), nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.CheckConstraint("(closed_at IS NULL) = (status = 'open')", name=op.f("ck_gates_closed")),
        sa.ForeignKeyConstraint(
            ["session_id", "step_number"],
            ["execution_steps.session_id", "execution_steps.step_number"],
            name="fk_gates_step",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gates")),
        sa.UniqueConstraint("session_id", "step_number", "serial", name=op.f("uq_gates_session_id_step_number_serial")),
    )
    partial("ix_gates_expires", "gates", ["expires_at"], where="status = 'open'")
    partial("ix_gates_remind", "gates", ["remind_at"], where="status = 'open' AND NOT reminded")
    partial("uq_gates_open", "gates", ["session_id"], unique=True, where="status = 'open'")


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("gate_id", sa.Text(), nullable=False),
        sa.Column("verdict", choice("verdict", "approve", "reject"), nullable=False),
        sa.Column("person_enterprise", sa.Text(), nullable=False),
        sa.Column("person_team", sa.Text(), nullable=False),
        sa.Column("person_user", sa.Text(), nullable=False),
        sa.Column("source", choice("source", "slack", "home", "api", "cli", "system"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("person_user <> ''", name=op.f("ck_decisions_person")),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.id"], name=op.f("fk_decisions_gate_id_gates")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint(
            "gate_id", "person_enterprise", "person_team", "person_user", "verdict", name="uq_decisions_person"
        ),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            choice(
                "attemptstatus",
                "planned",
                "submitting",
                "accepted",
                "running",
                "succeeded",
                "failed",
                "timed_out",
                "cancelled",
                "refused_late",
                "not_started",
                "infra_failed",
                "unknown",
            ),
            nullable=False,
        ),
        sa.Column("holds_target", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("handle", JSON, nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("not_after", MOMENT, nullable=True),
        sa.Column("hard_deadline", MOMENT, nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("checks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_check_at", MOMENT, nullable=True),
        sa.Column("clean_due_at", MOMENT, nullable=True),
        sa.Column("cleaned_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            f"holds_target = ({LIVE}) OR (holds_target AND status = 'unknown')", name=op.f("ck_attempts_holds")
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "step_number"],
            ["execution_steps.session_id", "execution_steps.step_number"],
            name="fk_attempts_step",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint(
            "session_id", "step_number", "number", name=op.f("uq_attempts_session_id_step_number_number")
        ),
    )
    partial("ix_attempts_check", "attempts", ["next_check_at"], where=LIVE)
    partial("ix_attempts_clean", "attempts", ["clean_due_at"], where=f"cleaned_at IS NULL AND NOT ({LIVE})")
    partial("uq_attempts_holder", "attempts", ["target_id"], unique=True, where="holds_target")


def _earlier_results() -> None:
    op.create_table(
        "earlier_results",
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("output_bytes", sa.BigInteger(), nullable=False),
        sa.Column("error_bytes", sa.BigInteger(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("captured", JSON, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_earlier_results_attempt_id_attempts")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_earlier_results")),
    )


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_inbox")),
    )
    partial("ix_inbox_undone", "inbox", ["kind", "received_at"], where="done_at IS NULL")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "purpose",
            choice(
                "purpose", "card", "gate", "result", "output", "reminder", "attention", "closing", "ephemeral", "home"
            ),
            nullable=False,
        ),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("sent_revision", sa.Integer(), nullable=False),
        sa.Column("ts", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("sending_since", MOMENT, nullable=True),
        sa.CheckConstraint("state <> 'sent' OR sent_revision = revision", name=op.f("ck_outbox_sent")),
        sa.CheckConstraint("state IN ('ready', 'sending', 'sent', 'unknown', 'dead')", name=op.f("ck_outbox_state")),
        sa.CheckConstraint("sent_revision <= revision", name=op.f("ck_outbox_revision")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["execution_sessions.id"], name=op.f("fk_outbox_session_id_execution_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
        sqlite_autoincrement=True,
    )
    partial("ix_outbox_due", "outbox", ["id"], where="state IN ('ready', 'unknown')")
    partial("ix_outbox_sending", "outbox", ["sending_since"], where="state = 'sending'")
    op.create_index("ix_outbox_session_id", "outbox", ["session_id"])


def _audit_events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("step_number", sa.Integer(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_session_id", "audit_events", ["session_id", "seq"])


def _settings() -> None:
    op.create_table(
        "settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )


def _append_only() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_events_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()"
        )
        return
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_events_keep_{action.lower()} BEFORE {action} ON audit_events "
            "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"
        )
    # REPLACE deletes without asking the trigger above.
    op.execute(
        "CREATE TRIGGER audit_events_keep_replace BEFORE INSERT ON audit_events "
        "WHEN EXISTS (SELECT 1 FROM audit_events WHERE seq >= NEW.seq) "
        "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"
    )
