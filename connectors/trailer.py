"""Reads what a guest envelope reported back. Never trusts it further than its own attempt id.

Bytes come from a machine: anything may be missing, cut or forged. A report that does not decode is no report.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from dataclasses import dataclass
from typing import Final

from connectors import guest
from engine.model import AttemptStatus
from engine.ports import RawResult

_CONTINUATION: Final = range(0x80, 0xC0)  #: UTF-8 bytes that cannot begin a character
_MOST_UNPACKED: Final = 8 * 1024 * 1024  #: a report never unpacks to more
_MOST: Final = {"rc": 2**31 - 1, "ms": 10**12}  #: larger numbers are not believed; databases would refuse them
_MOST_OF_ANY: Final = 2**53
_RAN: Final = frozenset({guest.DONE, guest.CANCELLED})  #: states that come with an exit code


@dataclass(frozen=True, kw_only=True)
class Trailer:
    """One report about one attempt."""

    state: str
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    stdout_bytes: int
    stderr_bytes: int
    duration_seconds: float
    timed_out: bool = False
    cancelled: bool = False
    left_running: bool = False  #: something that the script started still holds its output
    capped: bool = False  #: more was printed than the machine keeps
    machine_time: int = 0  #: the machine's clock, seconds since 1970


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer of a probe, kill or read script."""

    state: str
    machine_time: int
    data: bytes = b""
    total: int = 0


@dataclass(frozen=True)
class _Line:
    facts: dict[str, object]
    data: bytes

    @property
    def state(self) -> str:
        return str(self.facts.get("state", ""))

    def number(self, key: str) -> int:
        return self.known(key) or 0

    def known(self, key: str) -> int | None:
        """Return a number that the report really tells; None for anything else, however much it looks like one."""
        value, most = self.facts.get(key), _MOST.get(key, _MOST_OF_ANY)
        least = -most - 1 if key == "rc" else 0  # Windows has negative exit codes
        return value if type(value) is int and least <= value <= most else None


def parse_trailer(stdout_tail: bytes, stderr_tail: bytes, attempt_id: str) -> Trailer | None:
    """Return the last report of this attempt, or None when there is none that decodes."""
    line = _last_line(stdout_tail, attempt_id, "out")
    if line is None or (line.state in _RAN and line.known("rc") is None):
        return None  # without its exit code, a report that a script has ended proves nothing
    return _trailer(line, _last_line(stderr_tail, attempt_id, "err"))


def parse_reply(stdout_tail: bytes, attempt_id: str, kind: str) -> Reply | None:
    """Return the last answer to a ``probe``, ``kill`` or ``read`` about this attempt."""
    line = _last_line(stdout_tail, attempt_id, kind)
    if line is None:
        return None
    return Reply(
        state=line.state,
        machine_time=line.number("at"),
        data=line.data,
        total=line.number("total"),
    )


def _trailer(line: _Line, error: _Line | None) -> Trailer:
    return Trailer(
        state=line.state,
        exit_code=line.known("rc") if line.state in _RAN else None,
        stdout=line.data,
        stderr=error.data if error else b"",
        stdout_bytes=max(line.number("out"), len(line.data)),
        stderr_bytes=max(line.number("err"), len(error.data) if error else 0),
        duration_seconds=line.number("ms") / 1000,
        timed_out=bool(line.number("timeout")),
        cancelled=bool(line.number("cancelled")),
        left_running=bool(line.number("open")),
        capped=bool(line.number("capped")),
        machine_time=line.number("at"),
    )


def _last_line(tail: bytes, attempt_id: str, kind: str) -> _Line | None:
    start = re.escape(f"{guest.MARKER} {attempt_id} {kind} ".encode())
    pattern = rb"^" + start + rb"(\{[^\r\n]*?\})(?: ([A-Za-z0-9+/=]*))?[ \r]*$"
    for facts, data in reversed(re.findall(pattern, tail, re.MULTILINE)):
        line = _decode(facts, data)
        if line is not None:
            return line
    return None


def _decode(facts_json: bytes, packed: bytes) -> _Line | None:
    try:
        facts = json.loads(facts_json)
        data = base64.b64decode(packed, validate=True)
        if facts.get("gz") and data:
            data = _unpack(data)
    except (ValueError, binascii.Error, zlib.error, RecursionError):
        return None
    return _Line(facts, _from_whole_character(data) if facts.get("cut") else data)


def _unpack(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    whole = unpacker.decompress(data, _MOST_UNPACKED)
    if not unpacker.eof:
        raise ValueError("cut or oversized")
    return whole


def _from_whole_character(data: bytes) -> bytes:
    """Drop the end of a character that a cut went through; bytes that are no UTF-8 at all stay as they are."""
    skip = next((n for n, byte in enumerate(data[:4]) if byte not in _CONTINUATION), 0)
    return data[skip:] if skip <= 3 else data


_SENTENCES: Final = {
    guest.LATE: (AttemptStatus.REFUSED_LATE, "The machine refused to start the script: its start deadline had passed."),
    guest.DAMAGED: (AttemptStatus.INFRA_FAILED, "The script arrived damaged and was not started."),
    guest.NO_STATE: (
        AttemptStatus.INFRA_FAILED,
        f"The machine has no place for the run-once guard ({guest.STATE_FOLDER}); the script was not started.",
    ),
    guest.INTERRUPTED: (
        AttemptStatus.UNKNOWN,
        "The script began and was interrupted by a restart of the machine or its agent; how far it got is not known.",
    ),
}


def result_of(trailer: Trailer) -> RawResult | None:
    """Say how the attempt ended; None when this report does not tell, as for a duplicate delivery."""
    if trailer.state in {guest.DONE, guest.CANCELLED}:
        status, message = _ended(trailer)
    elif trailer.state in _SENTENCES:
        status, message = _SENTENCES[trailer.state]
    else:
        return None
    return RawResult(
        status=status,
        exit_code=trailer.exit_code,
        stdout=trailer.stdout,
        stderr=trailer.stderr,
        stdout_bytes=trailer.stdout_bytes,
        stderr_bytes=trailer.stderr_bytes,
        duration_seconds=trailer.duration_seconds,
        message=message,
    )


def _ended(trailer: Trailer) -> tuple[AttemptStatus, str]:
    if trailer.state == guest.CANCELLED:
        return AttemptStatus.CANCELLED, "Cancelled before it began."
    if trailer.cancelled:
        return AttemptStatus.CANCELLED, "Stopped on request."
    if trailer.timed_out:
        return AttemptStatus.TIMED_OUT, f"Stopped by its time limit after {trailer.duration_seconds:.0f} s."
    note = " It left something running." if trailer.left_running else ""
    if trailer.exit_code == 0:
        return AttemptStatus.SUCCEEDED, f"Ended with exit code 0.{note}"
    return AttemptStatus.FAILED, f"Ended with exit code {trailer.exit_code}.{note}"
