"""Bringing the tables up to date, by one process at a time, and refusing tables that are newer than the code.

Migrations only go forward. Nothing here may touch rows of its own accord.
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
_FOLDER = Path(__file__).with_name("migrations")


def upgrade(url: str) -> None:
    """Bring the database to the tables of this version. Two at once wait for each other; twice is harmless."""
    engine = connect_to_migrate(url)
    try:
        # On SQLite this transaction is itself the lock: it begins as a writer.
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _refuse_newer(connection)
            command.upgrade(configuration(connection), "head")
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
    revision, head = _revision(connection), _scripts().get_current_head()
    if revision != head:
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


def _refuse_newer(connection: Connection) -> None:
    revision = _revision(connection)
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise Misconfigured(
            f"The database has revision {revision}, which this version does not know.",
            hint="It was written by a newer version: install that one, or restore a backup.",
        )
