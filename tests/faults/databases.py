"""How a database gets into trouble: held by another process, on a full disk, on a disk that cannot be written.

Everything here happens outside the product's process or below its file system, and ends with the block it is in.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.postgres import Cluster, Server

_HOLDER = """
import sqlite3, sys, threading
holder = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
holder.execute("BEGIN IMMEDIATE")
print("held", flush=True)
threading.Event().wait(float(sys.argv[2]))
holder.execute("ROLLBACK")
"""


@contextmanager
def held_by_another_process(file: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the write lock for so long, and then lets go; at the end of the block it is gone."""
    command = [sys.executable, "-c", _HOLDER, str(file), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.wait(seconds + 30)


@contextmanager
def held_until_answered(file: Path, seconds: float | None) -> Iterator[threading.Event]:
    """Hold the write lock for so long, or until the event is set; never beyond the end of the block."""
    holder = sqlite3.connect(file, isolation_level=None, timeout=30, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    over = threading.Event()

    def hold() -> None:
        over.wait(seconds)
        holder.execute("ROLLBACK")

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        yield over
    finally:
        over.set()
        holding.join()
        holder.close()


@contextmanager
def halted(server: Server, at_least: float = 0.0) -> Iterator[None]:
    """A server whose processes stand still, as on a machine that has frozen; only one of our own is halted.

    ``at_least``: seconds; the end of the block waits for them.
    """
    if not isinstance(server, Cluster) or server.process is None:
        pytest.skip("this server is not ours to halt")
    main = server.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text(encoding="ascii").split()
    processes = [main, *map(int, children)]
    began = time.monotonic()
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
        threading.Event().wait(max(0.0, began + at_least - time.monotonic()))
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


@contextmanager
def small_disk(folder: Path, *, kib: int) -> Iterator[Path]:
    """A file system in memory of that size; a test that needs one is skipped where nobody may mount."""
    folder.mkdir()
    if os.geteuid() != 0 or _mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)):
        pytest.skip("a disk of limited size needs the right to mount, which this account does not have")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def set_writable(folder: Path, *, writable: bool) -> None:
    """Remount a small disk."""
    assert _mount("-o", f"remount,{'rw' if writable else 'ro'}", str(folder)) == 0


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Write until the disk is full, and give so many bytes back; remove the file to make room again."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        written = 0
        try:
            while True:
                written += file.write(bytes(4096))
        except OSError:
            os.ftruncate(file.fileno(), max(0, written - leave))
    return filler


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode
