"""A replica's sign of life on PostgreSQL: a row by the database's clock, and a lock that dies with the process.

The row says that the process still works; the lock, held by a connection of its own, is free at once when the
process has died, however it died. Each replica notes whose lock it finds free. It must never end anybody: what a
replica that is gone has begun is found in the rows.
"""

from __future__ import annotations

import logging
import socket
import threading
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, text

from engine.errors import RunbookError
from storage.database import Database

PRESENCE_LOCK = 0x52554E  # the first half of the number of each replica's PostgreSQL lock; the second is its name
TICK_SECONDS = 1.0
KEPT = timedelta(days=7)  #: how long a replica that is gone stays in the table for people to see

_HOLD = text("SELECT pg_try_advisory_lock(:lock, hashtext(:owner))")
_SEEN = text(
    """
    INSERT INTO replicas (owner, host, version, started_at, seen_at)
    VALUES (:owner, :host, :version, clock_timestamp(), clock_timestamp())
    ON CONFLICT (owner) DO UPDATE SET seen_at = clock_timestamp(), gone_since = NULL
    """
)
_NOTE_GONE = text(
    """
    UPDATE replicas SET gone_since = clock_timestamp()
    WHERE gone_since IS NULL AND owner <> :owner AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2 AND classid = :lock
          AND objid::bigint = (hashtext(replicas.owner)::bigint & 4294967295)
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    RETURNING owner, host
    """
)
_FORGET = text("DELETE FROM replicas WHERE seen_at < clock_timestamp() - CAST(:kept AS interval) AND owner <> :owner")

log = logging.getLogger(__name__)


class Presence:
    """Held while a replica serves. Losing the connection costs nothing if it is back within the grace of others."""

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        version: str,
        lease: timedelta,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._database = database
        self._me = {"owner": owner, "host": socket.gethostname(), "version": version}
        self._between = lease.total_seconds() / 3
        self._tick_seconds = min(tick_seconds, self._between)
        self._left = 0.0  #: seconds until the next sign of life
        self._connection: Connection | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._stay, name="presence", daemon=True)

    def __enter__(self) -> Self:
        self._tick()  # a replica that cannot be seen must not begin
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._let_go()

    def _stay(self) -> None:
        while not self._stop.wait(self._tick_seconds):
            self._left -= self._tick_seconds
            try:
                self._tick()
            except RunbookError as trouble:
                log.warning("presence_lost", extra={"reason": trouble.message})
                self._let_go()

    def _tick(self) -> None:
        connection = self._connection or self._hold()
        if self._left <= 0:
            connection.execute(_SEEN, self._me)
            connection.execute(_FORGET, {"owner": self._me["owner"], "kept": KEPT})
            self._left = self._between
        for owner, host in connection.execute(_NOTE_GONE, {"owner": self._me["owner"], "lock": PRESENCE_LOCK}):
            log.warning("replica_gone", extra={"replica": owner, "host": host})

    def _hold(self) -> Connection:
        opened = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection = opened
        # Not ours yet if the server has not noticed that our last connection is dead: then nobody sees it free either.
        opened.execute(_HOLD, {"lock": PRESENCE_LOCK, "owner": self._me["owner"]})
        self._left = 0.0
        return opened

    def _let_go(self) -> None:
        """Close the connection itself: given back to the pool it would keep the lock."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
