"""Where scripts really run: a scratch folder per VM, an unprivileged user of its own, and hard limits.

Started as root, a script gets a numeric user that owns nothing but its VM's folder. It is never run as root,
and nothing it leaves behind outlives the VM.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from playground.azure import vm_tools

_FIRST_UID = 200_000
_uids = itertools.count()
_NOBODY = 65_534


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one script may use. `processes` counts all of the VM's user when the cloud runs as root."""

    processes: int = 128
    file_kib: int = 64 * 1024
    cpu_seconds: int = 300
    wall_seconds: float = 900.0


@dataclass(frozen=True)
class GuestProcess:
    pid: int
    command: str


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class Sandbox:
    """The disk and the processes of one VM. `root` is what its scripts call home."""

    def __init__(self, folder: Path, name: str, limits: Limits) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.agent_home = folder / "waagent"
        self.name = name
        self.limits = limits
        self.uid = _dedicated_uid() if os.geteuid() == 0 else None
        self._started: set[int] = set()
        self._children: list[asyncio.subprocess.Process] = []

    def create(self) -> None:
        for part in (self.folder, self.root, self.agent_home):
            part.mkdir(parents=True, exist_ok=True)
            part.chmod(0o711)
        vm_tools.install(self.root, self.name)
        self.own(self.root)

    def wipe(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def own(self, path: Path) -> None:
        """Hand a path, and what is below it, to the VM's user."""
        if self.uid is None:
            return
        for each in (path, *path.rglob("*")):
            os.chown(each, self.uid, self.uid, follow_symlinks=False)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "VM_ROOT": str(self.root),
            "VM_NAME": self.name,
        }

    async def spawn(self, command: str, *, extra: Mapping[str, str], folder: Path) -> asyncio.subprocess.Process:
        """Start `bash -c command`; the shell that sets the limits then becomes that bash: one process."""
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                "/bin/bash",
                "-p",  # reads no BASH_ENV, so that only the script's own bash does
                "-c",
                f'{self._ulimits()} exec /bin/bash -c "$0"',
                command,
                cwd=folder,
                env={**self.environment(), **extra},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                **self._identity(),
            )
        self._started.add(process.pid)
        self._children = [child for child in self._children if child.returncode is None]
        self._children.append(process)
        return process

    async def reap(self) -> None:
        """Kill what was started here and wait until the loop has seen the end of each."""
        self.kill_all()
        for child in self._children:
            if child.returncode is None:
                kill(child)
                await child.wait()

    def _ulimits(self) -> str:
        limits = f"ulimit -c 0; ulimit -f {self.limits.file_kib}; ulimit -t {self.limits.cpu_seconds};"
        return f"{limits} ulimit -u {self.limits.processes};" if self.uid not in {None, _NOBODY} else limits

    def _identity(self) -> _Identity:
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}

    def processes(self) -> list[GuestProcess]:
        """Living processes of this VM, also those that left their session."""
        if not Path("/proc/self/status").exists():
            return [GuestProcess(pid, "") for pid in self._started if _alive(pid)]
        found = (_look(entry, self) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [one for one in found if one is not None]

    def owns(self, entry: Path) -> bool:
        if self.uid not in {None, _NOBODY}:
            return entry.stat().st_uid == self.uid
        return f"VM_ROOT={self.root}\0".encode() in (entry / "environ").read_bytes()

    def kill_all(self) -> None:
        """Until nothing is left: a process may have forked while the list was read."""
        for _ in range(20):
            living = self.processes()
            for one in living:
                _kill(one.pid)
            if not living:
                return


def kill(process: asyncio.subprocess.Process) -> None:
    """By number: `Process.kill` looks first, and so takes the end of one that has just died from the event loop,
    which then reports it as 255.
    """
    _kill(process.pid)


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _look(entry: Path, sandbox: Sandbox) -> GuestProcess | None:
    try:
        if not sandbox.owns(entry):
            return None
        state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # it ended while we looked, or is not ours to read
        return None
    return None if state in {"Z", "X"} else GuestProcess(int(entry.name), command)


def _dedicated_uid() -> int:
    """A user per VM, so that limits and clean-up touch one VM only; `nobody` where ids are not mapped."""
    wanted = _FIRST_UID + (os.getpid() % 50_000) * 64 + next(_uids) % 64
    try:
        spans = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except OSError:
        return _NOBODY
    mapped = any(int(start) <= wanted < int(start) + int(length) for start, _, length in spans)
    return wanted if mapped else _NOBODY
