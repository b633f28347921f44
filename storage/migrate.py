"""Bringing the tables up to date, by one process at a time, and refusing tables that the code cannot serve.

Migrations only go forward. Newer tables say which revision's code may still serve them, so that old and new replicas
run side by side while one replaces the other. Nothing here may touch any other row.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from engine.errors import Misconfigured, StorageUnavailable
from storage.connecting import connect_to_migrate

MIGRATION_LOCK = 0x52554E_0003  # the number of the PostgreSQL lock under which tables are changed
SERVED_BY = "0003"  #: the oldest revision whose code serves the tables of this version; only a release may raise it
SERVED_BY_SETTING = "schema.served_by"
_FOLDER = Path(__file__).with_name("migrations")


_SERVED_BY = text("SELECT value FROM settings WHERE name = :name")
_SAY_SERVED_BY = text(
    "INSERT INTO settings (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def upgrade(url: str) -> None:
    """Bring the database to the tables of this version. Two at once wait for each other; twice is harmless."""
    engine = connect_to_migrate(url)
    try:
        # On SQLite this transaction is itself the lock: it begins as a writer.
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _refuse_newer(connection)
            if _knows(_revision(connection)):
                command.upgrade(configuration(connection), "head")
                connection.execute(_SAY_SERVED_BY, {"name": SERVED_BY_SETTING, "value": SERVED_BY})
    except StorageUnavailable as error:
        raise Misconfigured(f"The database cannot be prepared: {error.message}", hint=error.hint) from error
    finally:
        engine.dispose()


def current(url: str) -> str | None:
    """Return the revision of the database; None while it has no tables of ours."""
    engine = connect_to_migrate(url)
    try:
        with engine.connect() as connection:
            return _revision(connection)
    finally:
        engine.dispose()


def require_current(connection: Connection) -> None:
    """Return if the tables are those of this version; else say what to do."""
    _refuse_newer(connection)
    revision, head = _revision(connection), newest()
    if revision != head and _knows(revision):
        raise Misconfigured(
            f"The database has revision {revision or 'none'}, this version needs {head}.", hint="Run `runbook migrate`."
        )


def configuration(connection: Connection) -> Config:
    """Return alembic's configuration for a connection that is already open."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_FOLDER))


def newest() -> str:
    """Return the revision that this version brings a database to."""
    return _scripts().get_current_head() or ""


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _knows(revision: str | None) -> bool:
    return revision is None or revision in {script.revision for script in _scripts().walk_revisions()}


def _served_by(connection: Connection) -> str:
    """Return which code the newer tables say may serve them; without a word of theirs, none that we know."""
    found: str | None = connection.execute(_SERVED_BY, {"name": SERVED_BY_SETTING}).scalar_one_or_none()
    return found or "unknown"


def _refuse_newer(connection: Connection) -> None:
    revision = _revision(connection)
    if not _knows(revision) and not _knows(_served_by(connection)):
        raise Misconfigured(
            f"The database has revision {revision}, which this version does not know.",
            hint="It was written by a newer version: install that one, or restore a backup.",
        )
