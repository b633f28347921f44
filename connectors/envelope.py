"""The guest envelope: wraps an approved script so that a machine runs it at most once, in time, and reports back.

Every connector sends the same text. It must never change a byte of the script, and never place anything but
numbers, checked ids and base64 into code.
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from typing import Final

from connectors import guest, guest_bash
from connectors.guest_powershell import POWERSHELL_ENVELOPE
from connectors.trailer import Reply, Trailer, parse_reply, parse_trailer, result_of
from engine.errors import Bug, InvalidInput
from engine.model import Shell
from engine.ports import Command

__all__ = [
    "Reply",
    "Trailer",
    "bash_envelope",
    "envelope_for",
    "kill_script",
    "parse_reply",
    "parse_trailer",
    "platform_timeout",
    "powershell_envelope",
    "probe_script",
    "read_script",
    "result_of",
    "script_of",
]

GRACE_SECONDS: Final = 60  #: between the envelope's own time limit and the platform's
_ATTEMPT_ID: Final = re.compile(r"[0-9a-z]{1,40}")
_SCRIPT: Final = re.compile(r"^(?:script=|\$script = )'\n([A-Za-z0-9+/=\n]*)\n'$", re.MULTILINE)


def platform_timeout(command: Command) -> int:
    """Return the time limit to give to the platform: late enough for the envelope to stop the script and report."""
    return command.timeout_seconds + GRACE_SECONDS


def envelope_for(command: Command, *, out_room: int = guest.TRAILER_BYTES, err_room: int = guest.TRAILER_BYTES) -> str:
    """Wrap a command in the envelope of its shell."""
    wrap = bash_envelope if command.shell is Shell.BASH else powershell_envelope
    return wrap(command, out_room=out_room, err_room=err_room)


def bash_envelope(command: Command, *, out_room: int = guest.TRAILER_BYTES, err_room: int = guest.TRAILER_BYTES) -> str:
    """Wrap a bash script; ``out_room`` and ``err_room`` are the bytes that each stream's report may take."""
    return _filled(guest_bash.ENVELOPE, **_places(command), OUT_ROOM=out_room, ERR_ROOM=err_room)


def powershell_envelope(
    command: Command, *, out_room: int = guest.TRAILER_BYTES, err_room: int = guest.TRAILER_BYTES
) -> str:
    """Wrap a PowerShell script. Made from the same description as the bash one; not verified on a live machine."""
    return _filled(POWERSHELL_ENVELOPE, **_places(command), OUT_ROOM=out_room, ERR_ROOM=err_room)


def script_of(envelope_text: str) -> str:
    """Return exactly the approved script that an envelope carries."""
    found = _SCRIPT.findall(envelope_text)
    if len(found) != 1:
        raise Bug("This text is no guest envelope.")
    return base64.b64decode(found[0].replace("\n", ""), validate=True).decode()


def probe_script(attempt_id: str) -> str:
    """Return a read-only script that says what became of an attempt."""
    return _side(guest_bash.PROBE, attempt_id)


def kill_script(attempt_id: str) -> str:
    """Return a script that stops an attempt, or keeps it from ever starting, and says what is proven."""
    return _side(guest_bash.KILL, attempt_id)


def read_script(attempt_id: str, stream: str, offset: int, limit: int, *, room: int = guest.TRAILER_BYTES) -> str:
    """Return a read-only script that prints a piece of an attempt's output, shortened to what fits into ``room``."""
    if stream not in {"stdout", "stderr"} or offset < 0 or limit < 1:
        raise InvalidInput(
            "Only bytes of stdout or stderr can be read.", hint="Give a start of 0 or more and a length."
        )
    places: dict[str, str | int] = {"STREAM": stream, "OFFSET": offset, "LIMIT": limit}
    return _filled(guest_bash.READ, ID=_checked(attempt_id), OUT_ROOM=room, **places)


def _side(template: str, attempt_id: str) -> str:
    room = guest.TRAILER_BYTES
    return _filled(template, ID=_checked(attempt_id), OUT_ROOM=room, ERR_ROOM=room)


def _places(command: Command) -> dict[str, str | int]:
    script = _bytes_of(command.script)
    return {
        "ID": _checked(command.attempt_id),
        "NOT_AFTER": int(command.not_after.timestamp()),
        "LIMIT": int(command.timeout_seconds),
        "SUM": hashlib.sha256(script).hexdigest(),
        "SCRIPT": "\n".join(textwrap.wrap(base64.b64encode(script).decode(), 76)),
    }


def _bytes_of(script: str) -> bytes:
    if "\r" in script:
        raise InvalidInput(
            "The script has carriage returns, which would change what runs.",
            hint="Store the runbook with LF line ends.",
        )
    if "\0" in script:
        raise InvalidInput("The script has a NUL character.", hint="Remove it from the runbook.")
    try:
        return script.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The script is not valid Unicode.", hint="Store the runbook as UTF-8.") from error


def _checked(attempt_id: str) -> str:
    if not _ATTEMPT_ID.fullmatch(attempt_id):
        raise Bug(f"Not an attempt id: {attempt_id!r}")
    return attempt_id


def _filled(template: str, **places: str | int) -> str:
    """Fill the ``@NAME@`` places in one pass, so that no value is ever searched for places."""
    return re.sub(r"@([A-Z_]+)@", lambda place: str(places[place[1]]), template)
