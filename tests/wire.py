"""The network between one replica and the database: a port on loopback that can fall silent, as when a cable is pulled.

What was on its way arrives when it is whole again, however late, as TCP sees to it; or every connection is gone.
Nothing here may know what the bytes mean.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

from sqlalchemy import URL, make_url

HOST = "127.0.0.1"
AT_ONCE = struct.pack("ii", 1, 0)  #: closes by a reset and drops what is still to be sent
PIECE = 65_536


class Wire:
    """Stands between a client and the server of a database URL."""

    def __init__(self, database_url: str) -> None:
        self._far = make_url(database_url)
        self._near = socket.create_server((HOST, 0))
        self._whole = threading.Event()
        self._whole.set()
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._let_in, name="wire", daemon=True).start()

    @property
    def url(self) -> str:
        """The same database, by way of this wire."""
        address = self._far.set(host=HOST, port=self._near.getsockname()[1], query={})
        return address.render_as_string(hide_password=False)

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._whole.clear()

    def mend(self) -> None:
        """Let through what has waited, and all that follows."""
        self._whole.set()

    def hang_up(self) -> None:
        """End every connection, and drop what has not passed."""
        with self._lock:
            for end in self._ends:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                    end.shutdown(socket.SHUT_RDWR)
        self._whole.set()

    def close(self) -> None:
        self._near.close()
        self.hang_up()

    def _let_in(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._near.accept()
                far = _reach(self._far)
                with self._lock:
                    self._ends |= {near, far}
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), name="wire", daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE):
                self._whole.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        self._forget(source)

    def _forget(self, end: socket.socket) -> None:
        """Each direction closes the end that it has read from."""
        with self._lock:
            self._ends.discard(end)
        end.close()


def _reach(url: URL) -> socket.socket:
    folder, port = url.query.get("host", ""), url.port or 5432
    if url.host is None and isinstance(folder, str) and folder.startswith("/"):
        end = socket.socket(socket.AF_UNIX)
        end.connect(f"{folder}/.s.PGSQL.{port}")
        return end
    return socket.create_connection((url.host or HOST, port))
