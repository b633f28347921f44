"""Bringing the tables up to date, by one process at a time, and refusing tables that the code cannot serve.

Migrations only go forward. Newer tables say which revision's code may still serve them, so that old and new replicas
run side by side while one replaces the other. Nothing here may touch any other row.

Alembic is imported only when tables have to be changed, because a serving process pays for what it imports in seconds
at its start and in memory for good.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from engine.errors import Misconfigured, StorageUnavailable
from storage.connecting import connect_to_migrate

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATION_LOCK = 0x52554E_0003  # the number of the PostgreSQL lock under which tables are changed
SERVED_BY = "0003"  #: the oldest revision whose code serves the tables of this version; only a release may raise it
SERVED_BY_SETTING = "schema.served_by"
_SERVED_BY = text("SELECT value FROM settings WHERE name = :name")
_SAY_SERVED_BY = text(
    "INSERT INTO settings (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_FOLDER = Path(__file__).with_name("migrations")
#: Every revision of this version, oldest first: files are named by number, and each revises the one before it.
REVISIONS = tuple(sorted(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py")))


def upgrade(url: str) -> None:
    """Bring the database to the tables of this version. Two at once wait for each other; twice is harmless."""
    engine = connect_to_migrate(url)
    try:
        # On SQLite this transaction is itself the lock: it begins as a writer.
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _refuse_newer(connection)
            if _revision(connection) in {None, *REVISIONS[:-1]}:
                _change_tables(connection)
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
    revision, head = _revision(connection), REVISIONS[-1]
    if revision in {None, *REVISIONS[:-1]}:
        raise Misconfigured(
            f"The database has revision {revision or 'none'}, this version needs {head}.", hint="Run `runbook migrate`."
        )


def configuration(connection: Connection) -> Config:
    """Return alembic's configuration for a connection that is already open."""
    from alembic.config import Config  # noqa: PLC0415 - see the head of this file

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _change_tables(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see the head of this file

    command.upgrade(configuration(connection), "head")


def _revision(connection: Connection) -> str | None:
    """Return what alembic has noted; a database that it has never touched has not even its table."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    noted: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return noted


def _refuse_newer(connection: Connection) -> None:
    revision = _revision(connection)
    if revision in {None, *REVISIONS}:
        return
    # An older version may serve newer tables if they say so: both run side by side during an upgrade.
    served_by = connection.execute(_SERVED_BY, {"name": SERVED_BY_SETTING}).scalar_one_or_none()
    if served_by not in REVISIONS:
        raise Misconfigured(
            f"The database has revision {revision}, which this version does not know.",
            hint="It was written by a newer version: install that one, or restore a backup.",
        )
