"""What can go wrong in a database, told in our own errors.

Every error of the driver is translated here, in one place. A translation must never carry a statement, its
values or the address of the database with its password: only what is wrong and the cure. PostgreSQL's driver is not
imported here: where it is not in use it raises nothing, and it weighs nine megabytes.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from typing import TYPE_CHECKING, NoReturn, TypeGuard

from sqlalchemy.engine import ExceptionContext

from engine.errors import (
    Bug,
    InvalidInput,
    Misconfigured,
    RunbookError,
    Stale,
    StorageUnavailable,
    TargetBusy,
)

#: The constraint that lets one attempt at a time hold a machine, as each database names it.
HOLDER_INDEX = "uq_attempts_holder"
HOLDER_COLUMN = "attempts.target_id"

if TYPE_CHECKING:
    import psycopg

#: What PostgreSQL's driver raises, by the names in ``psycopg.errors``.
_UNDEFINED = ("UndefinedTable", "UndefinedColumn")
_CONTRADICTIONS = ("IntegrityError", "RaiseException")
_LOST_RACES = ("SerializationFailure",)
_SLOW = ("LockNotAvailable", "QueryCanceled", "DeadlockDetected")
_FULL = ("DiskFull",)
_READ_ONLY = ("ReadOnlySqlTransaction",)


def translate(context: ExceptionContext) -> NoReturn:
    """Raise our error for a driver's error; a listener for SQLAlchemy's ``handle_error``."""
    original = context.original_exception
    raise _ours(original) from original


def _ours(error: BaseException) -> BaseException:
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError) or _of_postgres(error, *_CONTRADICTIONS):
        return _contradiction(error, text)
    if _of_postgres(error, *_UNDEFINED) or "no such table" in text or "no such column" in text:
        return Misconfigured("The database has not the tables that this version needs.", hint="Run `runbook migrate`.")
    if _of_postgres(error, *_LOST_RACES):
        return Stale("Somebody else changed this first.", hint="Look at it again.")
    no_value = isinstance(error, (sqlite3.DataError, UnicodeEncodeError, OverflowError))
    if no_value or _of_postgres(error, "DataError"):
        return InvalidInput("A value cannot be stored: it has characters or a size that no database keeps.")
    if isinstance(error, sqlite3.Error) or _of_postgres(error, "Error"):
        return _unavailable(error, text)
    return error


def _contradiction(error: BaseException, text: str) -> RunbookError:
    name = constraint_of(error)
    if name == HOLDER_INDEX or HOLDER_COLUMN in text:
        return TargetBusy()
    return Bug(f"The database refused a contradiction: {name}.")


def constraint_of(error: BaseException) -> str:
    """Return the name of the violated rule, never the values that violated it."""
    if _of_postgres(error, "Error"):
        return error.diag.constraint_name or error.diag.message_primary or type(error).__name__
    return re.sub(r"\s+", " ", str(error))[:200]


def _unavailable(error: BaseException, text: str) -> StorageUnavailable:
    lowered = text.lower()
    if _of_postgres(error, *_SLOW) or "is locked" in lowered:
        return StorageUnavailable("The database is busy with something else.", hint="Try again in a moment.")
    if _of_postgres(error, *_READ_ONLY) or "readonly" in lowered:
        return StorageUnavailable(
            "The database can only be read.", hint="Give the bot's account write access to its file and folder."
        )
    if _of_postgres(error, *_FULL) or "is full" in lowered or "no space" in lowered:
        return StorageUnavailable("The disk of the database is full.", hint="Make room; nothing was lost.")
    if "unable to open" in lowered or "not a database" in lowered or "malformed" in lowered:
        return StorageUnavailable(
            "The database file cannot be opened.", hint="Check DATABASE_URL and the rights of the folder."
        )
    if _of_postgres(error, "OperationalError"):
        return StorageUnavailable("The database server cannot be reached.", hint="Check that it runs and DATABASE_URL.")
    return StorageUnavailable(f"The database failed ({type(error).__name__}).", hint="See the database's own log.")


def _of_postgres(error: BaseException, *names: str) -> TypeGuard[psycopg.Error]:
    """Say whether PostgreSQL's driver raised one of these."""
    driver = sys.modules.get("psycopg.errors")
    return driver is not None and isinstance(error, tuple(getattr(driver, name) for name in names))
