"""Runs commands on the bot's own host, through the same guest envelope as every other connector.

It exists only where a setting names it and is never a fallback: it answers to "local" and "local/<name>" and to
nothing else. A script must never inherit the bot's environment, which holds its tokens.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from connectors import guest
from connectors.envelope import (
    bash_envelope,
    kill_script,
    parse_reply,
    parse_trailer,
    probe_script,
    read_script,
    result_of,
)
from connectors.outcome import cancel_answer, probe_answer
from engine.errors import Indeterminate, Permanent
from engine.model import Shell, Target
from engine.ports import (
    CancelAnswer,
    Capabilities,
    Check,
    Clock,
    Command,
    Connector,
    Handle,
    Level,
    Observation,
    RawResult,
)

_SIDE_SECONDS = 30.0  #: for a probe, kill or read script
_LATE_SECONDS = 30  #: after the start deadline, for an envelope that is just about to say that it is late
_READ_ROOM = 2 * 1024 * 1024  #: no platform cuts the output of a local read
_POLLS = (0.2, 0.5, 1.0, 2.0)


class LocalConnector(Connector):
    """Every attempt has a folder below ``root``: what was started, what it said, and the guard's state."""

    def __init__(self, root: Path, clock: Clock, *, names: Sequence[str] = ()) -> None:
        """``root`` must be a lasting folder of the bot's own; ``names`` are other names for this host."""
        self._root = root
        self._clock = clock
        self._names = ("", *sorted(names))

    def describe(self) -> Capabilities:
        return Capabilities(
            name="local",
            label="the bot's own host",
            cancel="confirmed",
            shells=(Shell.BASH,),
            poll_seconds=_POLLS,
            max_timeout_seconds=24 * 3600,
        )

    def resolve(self, selector: str) -> tuple[Target, ...]:
        kind, _, name = selector.strip().lower().partition("/")
        return (self._target(name),) if kind == "local" and name in self._names else ()

    def inventory(self) -> tuple[tuple[Target, str], ...]:
        return tuple((self._target(name), "running") for name in self._names)

    def preflight(self, target: Target, shell: Shell) -> tuple[Check, ...]:
        return (
            _same_machine(target, self._fingerprint()),
            _shell_known(shell),
            _folder_writable(self._root),
        )

    def submit(self, command: Command) -> Handle:
        envelope = bash_envelope(command)
        if command.shell is not Shell.BASH:
            raise Permanent("The bot's own host runs bash only.", hint="Give the step the shell bash.")
        if command.target.fingerprint != self._fingerprint():
            raise Permanent("This is another host than the one that was approved.", hint="Start a new session.")
        folder = self._folder(command.attempt_id)
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise Indeterminate("This attempt was sent before.") from None
        except OSError as error:
            raise Permanent(
                f"Cannot write to {self._root}: {error.strerror}.", hint="Make the folder writable."
            ) from error
        (folder / "envelope").write_text(envelope, encoding="utf-8", newline="")
        self._start(folder)
        return self._handle(command)

    def reconcile(self, command: Command) -> Handle | None:
        return self._handle(command) if self._folder(command.attempt_id).is_dir() else None

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        del target  # there is only one
        seen = {handle["attempt"]: self._observe(handle) for handle in handles}
        return {attempt: observation for attempt, observation in seen.items() if observation is not None}

    def probe(self, handle: Handle) -> RawResult | None:
        out, err = self._side(probe_script(handle["attempt"]))
        return probe_answer(handle, out, err)

    def cancel(self, handle: Handle) -> CancelAnswer:
        out, _ = self._side(kill_script(handle["attempt"]))
        return cancel_answer(parse_reply(out, handle["attempt"], "kill"))

    def fetch(self, handle: Handle, stream: str, offset: int, limit: int) -> tuple[bytes, int]:
        out, _ = self._side(read_script(handle["attempt"], stream, offset, min(limit, 1024 * 1024), room=_READ_ROOM))
        reply = parse_reply(out, handle["attempt"], "read")
        if reply is None or reply.state == guest.ABSENT:
            raise Permanent("The output is no longer on the machine.")
        return reply.data, reply.total

    def cleanup(self, handle: Handle) -> float | None:
        """The guard's state stays, so that the attempt can never run again; only what it said is removed."""
        for name in ("out", "err", "envelope"):
            (self._folder(handle["attempt"]) / name).unlink(missing_ok=True)
        return None

    def doctor(self, target: Target | None, *, live: bool = False) -> tuple[Check, ...]:
        del target  # there is only one
        checks = (_shell_known(Shell.BASH), *(_tool(name) for name in ("base64", "gzip", "setsid", "sha256sum")))
        return (*checks, _folder_writable(self._root), *((self._echo(),) if live else ()))

    # ------------------------------------------------------------ inside

    def _target(self, name: str) -> Target:
        return Target(
            connector="local",
            id=f"local/{name}" if name else "local",
            name=name or "local",
            fingerprint=self._fingerprint(),
        )

    def _fingerprint(self) -> str:
        try:
            return Path("/etc/machine-id").read_text(encoding="ascii").strip() or "local"
        except OSError:
            return "local"

    def _folder(self, attempt_id: str) -> Path:
        return self._root / "sent" / attempt_id

    def _handle(self, command: Command) -> Handle:
        return {
            "v": "1",
            "connector": "local",
            "target": command.target.id,
            "attempt": command.attempt_id,
            "not_after": str(int(command.not_after.timestamp())),
            "submitted_at": self._clock.now().isoformat(),
        }

    def _start(self, folder: Path) -> None:
        """Start the envelope as nobody's child, so that it outlives the bot and leaves it nothing to collect."""
        line = 'cd "$HOME" || cd /; bash "$1/envelope" >"$1/out" 2>"$1/err" </dev/null &'
        try:
            subprocess.run(  # noqa: S603 - our own text
                ["/bin/bash", "-c", line, "start", str(folder)],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                timeout=_SIDE_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Indeterminate("The command could not be started cleanly.") from error

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TZ") if name in os.environ}
        path = os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        return {"HOME": "/", **kept, "PATH": path, guest.STATE_VARIABLE: str(self._root.resolve() / "state")}

    def _side(self, script: str) -> tuple[bytes, bytes]:
        try:
            done = subprocess.run(
                ["/bin/bash", "-s"],
                input=script.encode(),
                env=self._environment(),
                capture_output=True,
                timeout=_SIDE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Indeterminate("The host did not answer.") from error
        return done.stdout, done.stderr

    def _observe(self, handle: Handle) -> Observation | None:
        folder = self._folder(handle["attempt"])
        if not (folder / "envelope").is_file():
            return None
        trailer = parse_trailer(_read(folder / "out"), _read(folder / "err"), handle["attempt"])
        result = result_of(trailer) if trailer else None
        if result is not None:
            return Observation(running=False, result=result)
        out, err = self._side(probe_script(handle["attempt"]))
        reply = parse_reply(out, handle["attempt"], "probe")
        if reply is not None:
            return self._not_ended(handle, running=reply.state == guest.RUNNING)
        return Observation(result=probe_answer(handle, out, err))

    def _not_ended(self, handle: Handle, *, running: bool) -> Observation:
        """Long not seen and too late to begin: it never will, the guard on the machine sees to that."""
        began_by = datetime.fromtimestamp(int(handle["not_after"]) + _LATE_SECONDS, tz=UTC)
        if running or self._clock.now() <= began_by:
            return Observation(running=running)
        return Observation(result=self.probe(handle))

    def _echo(self) -> Check:
        out, _ = self._side("echo runbook-bot\n")
        fine = out == b"runbook-bot\n"
        return Check(
            name="live", level=Level.OK if fine else Level.BLOCK, evidence="echo answered" if fine else "no answer"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _same_machine(target: Target, fingerprint: str) -> Check:
    if target.fingerprint == fingerprint:
        return Check(name="same machine", level=Level.OK, evidence="the host that was chosen")
    evidence = "this is another host than the one that was chosen"
    return Check(name="same machine", level=Level.BLOCK, evidence=evidence, remedy="Start a new session.")


def _shell_known(shell: Shell) -> Check:
    if shell is not Shell.BASH:
        return Check(name="shell", level=Level.BLOCK, evidence=f"no {shell} here", remedy="Use bash.")
    return _tool("bash")


def _tool(name: str) -> Check:
    path = shutil.which(name)
    if path:
        return Check(name=name, level=Level.OK, evidence=path)
    level = Level.BLOCK if name in {"bash", "base64"} else Level.WARN
    return Check(name=name, level=level, evidence="not found", remedy=f"Install {name} on the bot's host.")


def _folder_writable(root: Path) -> Check:
    place = next((one for one in (root, *root.parents) if one.exists()), root)
    if os.access(place, os.W_OK):
        return Check(name="state folder", level=Level.OK, evidence=str(root))
    remedy = f"Make {place} writable for the bot."
    return Check(name="state folder", level=Level.BLOCK, evidence=f"{place} is not writable", remedy=remedy)
