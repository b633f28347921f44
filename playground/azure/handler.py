"""The run-command handler inside a Linux VM: what the vendor's extension does with a goal, step for step.

The sequence file is written before the script runs and is the only thing that stops a second run. Nothing
here knows the platform; the agent carries status files out.
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playground.azure.clock import stamp
from playground.azure.ledger import Execution
from playground.azure.platform import Platform
from playground.azure.sandbox import Sandbox, kill, kill_group

TAIL_BYTES = 4096
DOWNLOAD_FAILED, BLOB_FAILED, USER_FAILED, HANDLER_FAILED = -100, -101, -102, -200
FINAL = frozenset({"Succeeded", "Failed", "TimedOut", "Canceled"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the agent hands to the handler for one run command."""

    name: str
    seq: int
    properties: Mapping[str, Any]
    protected: tuple[Mapping[str, str], ...] = ()


@dataclass(kw_only=True)
class Status:
    """A status file's content."""

    seq: int
    state: str
    exit_code: int = 0
    output: str = ""
    error: str = ""
    message: str = ""
    start: str | None = None
    end: str | None = None


class RefusedError(Exception):
    """The script was not run; the exit code says why."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LinuxHandler:
    """One version folder holds sequence and status files; scripts in flight are tasks."""

    def __init__(self, vm_id: str, platform: Platform, sandbox: Sandbox, *, extension: str) -> None:
        self._vm = vm_id
        self._platform = platform
        self._sandbox = sandbox
        self._extension = extension
        self._version = 28
        self._running: dict[str, _Run] = {}

    @property
    def _folder(self) -> Path:
        return self._sandbox.agent_home / f"{self._extension}-1.3.{self._version}"

    def enable(self, settings: Settings) -> None:
        """Called for every present run command on any change; only the sequence file makes that harmless."""
        done = self.sequence(settings.name)
        if done is not None and settings.seq <= done:
            return
        self._kill_previous(settings.name)
        self._make_folder()
        self._sequence_file(settings.name).write_text(str(settings.seq))
        run = _Run(settings, self._download_folder(settings))
        self._running[settings.name] = run
        run.task = self._platform.spawn(self._execute(run))

    def disable(self, name: str) -> None:
        """On delete. As shipped, the kill is aimed at a process group that does not exist."""
        run = self._running.get(name)
        if run is not None and self._platform.switches.delete_kills and run.process is not None:
            kill_group(run.process.pid)
        if self._platform.switches.delete_forgets_sequence:
            self._sequence_file(name).unlink(missing_ok=True)

    def sequence(self, name: str) -> int | None:
        with contextlib.suppress(FileNotFoundError):
            return int(self._sequence_file(name).read_text())
        return None

    def status(self, name: str, seq: int) -> Status | None:
        with contextlib.suppress(FileNotFoundError):
            return Status(**json.loads(self._status_file(name, seq).read_text()))
        return None

    def abandon(self) -> None:
        """The machine went down: no status is written, whatever was running."""
        for run in self._running.values():
            if run.task is not None:
                run.task.cancel()
        self._running.clear()

    def upgrade(self, *, forget: bool) -> None:
        """A new version folder. The copy skips names with dots, and with `forget` everything."""
        old = self._folder
        self._version += 1
        self._make_folder()
        for file in old.glob("*.mrseq"):
            if not forget and "." not in file.name.removesuffix(".mrseq"):
                shutil.copy(file, self._folder / file.name)
        for file in old.glob("*.status"):
            shutil.copy(file, self._folder / file.name)

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o711)

    def _sequence_file(self, name: str) -> Path:
        return self._folder / f"{name}.mrseq"

    def _status_file(self, name: str, seq: int) -> Path:
        return self._folder / f"{name}.{seq}.status"

    def _download_folder(self, settings: Settings) -> Path:
        return self._folder / "download" / settings.name / str(settings.seq)

    def _kill_previous(self, name: str) -> None:
        run = self._running.pop(name, None)
        if run is None or run.task is None or run.task.done():
            return
        run.task.cancel()
        if run.process is not None:
            kill(run.process)

    async def _execute(self, run: "_Run") -> None:
        run.status = Status(seq=run.settings.seq, state="Running", start=self._now())
        try:
            command = self._prepare(run)
            self._write(run)
            await self._run_script(run, command)
        except RefusedError as refused:
            run.status.state, run.status.exit_code = "Failed", refused.exit_code
            run.status.message = str(refused)
        run.status.end = self._now()
        self._write(run)
        if self._running.get(run.settings.name) is run:
            del self._running[run.settings.name]

    def _prepare(self, run: "_Run") -> str:
        """Set-up errors are reported with the handler's own exit codes, below -100."""
        wanted = run.settings.properties
        _refuse_what_cannot_be_reached(wanted)
        for parent in (self._folder / "download", run.folder.parent, run.folder):
            parent.mkdir(exist_ok=True)
            parent.chmod(0o711)
        script = run.folder / "script.sh"
        script.unlink(missing_ok=True)
        script.write_bytes(str(wanted.get("source", {}).get("script", "")).encode())
        script.chmod(0o500)
        self._sandbox.own(run.folder)
        unnamed = [str(p.get("value", "")) for p in wanted.get("parameters") or () if not p.get("name")]
        return " ".join([str(script), *unnamed])

    async def _run_script(self, run: "_Run", command: str) -> None:
        number = None
        try:
            run.process = await self._sandbox.spawn(command, extra=run.environment(), folder=run.folder)
            number = self._platform.ledger.begin(self._begun(run))
            code = await self._wait(run)
        except (ValueError, OSError) as failed:
            raise RefusedError(HANDLER_FAILED, f"failed to start the script: {failed}") from failed
        except asyncio.CancelledError:
            self._ended(number, None, "cut")
            raise
        self._ended(number, code, "timeout" if run.timed_out else "itself")
        self._collect(run)
        run.status.exit_code = code
        run.status.state = "Succeeded" if code == 0 else "Failed"
        run.status.message = "Execution completed" if code == 0 else f"failed to execute command: exit status {code}"

    async def _wait(self, run: "_Run") -> int:
        """Refresh the status every now and then; at the time limit kill the direct child, and only that."""
        process = run.process
        if process is None:
            raise RefusedError(HANDLER_FAILED, "the script was not started")
        loop = asyncio.get_running_loop()
        end = loop.time() + min(run.limit, self._sandbox.limits.wall_seconds)
        refresh = self._platform.timings.handler_refresh / self._platform.clock.speed
        while process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), max(0.0, min(refresh, end - loop.time())))
            if process.returncode is None and loop.time() >= end:
                run.timed_out = True
                kill(process)
                await process.wait()
            self._collect(run)
            self._write(run)
        return process.returncode if process.returncode >= 0 else -1

    def _collect(self, run: "_Run") -> None:
        run.status.output = tail(run.folder / "stdout")
        run.status.error = tail(run.folder / "stderr")

    def _write(self, run: "_Run") -> None:
        self._status_file(run.settings.name, run.settings.seq).write_text(json.dumps(asdict(run.status)))

    def _begun(self, run: "_Run") -> Execution:
        return Execution(
            vm=self._vm,
            name=run.settings.name,
            seq=run.settings.seq,
            pid=run.process.pid if run.process is not None else 0,
            started=self._platform.clock.now(),
        )

    def _ended(self, number: int | None, exit_code: int | None, by: str) -> None:
        if number is not None:
            self._platform.ledger.end(number, at=self._platform.clock.now(), exit_code=exit_code, by=by)

    def _now(self) -> str:
        return stamp(self._platform.clock.now())


class _Run:
    """One script in flight."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.status = Status(seq=settings.seq, state="Running")
        self.process: asyncio.subprocess.Process | None = None
        self.task: asyncio.Task[None] | None = None
        self.timed_out = False
        self.limit = float(settings.properties.get("timeoutInSeconds") or 90 * 60)

    def environment(self) -> dict[str, str]:
        """Named parameters, unchecked; empty ones vanish; protected ones win."""
        named = [*(self.settings.properties.get("parameters") or ()), *self.settings.protected]
        return {str(p["name"]): str(p["value"]) for p in named if p.get("name") and p.get("value")}


def tail(path: Path) -> str:
    """The last bytes, each stray byte of a cut character shown as the replacement character."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return decode(file.read(TAIL_BYTES))
    except FileNotFoundError:
        return ""


def decode(data: bytes) -> str:
    escaped = data.decode("utf-8", errors="surrogateescape")
    return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in escaped)


def _refuse_what_cannot_be_reached(wanted: Mapping[str, Any]) -> None:
    source = wanted.get("source") or {}
    if source.get("scriptUri") or source.get("galleryScriptReferenceId"):
        raise RefusedError(DOWNLOAD_FAILED, "failed to download the script: no such host")
    if wanted.get("outputBlobUri") or wanted.get("errorBlobUri"):
        raise RefusedError(BLOB_FAILED, "failed to create or replace the append blob: no such host")
    if wanted.get("runAsUser"):
        raise RefusedError(USER_FAILED, f"failed to find user {wanted['runAsUser']}: unknown user")
