"""Turns the answers of probe and kill scripts into what the engine understands. Claims nothing without evidence."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors import guest
from connectors.envelope import Reply, parse_reply, parse_trailer, result_of
from engine.errors import Indeterminate
from engine.model import AttemptStatus
from engine.ports import CancelAnswer, Handle, RawResult


def probe_answer(handle: Handle, out: bytes, err: bytes) -> RawResult | None:
    """Read a probe's output: the result, None while the command runs, or ``Indeterminate``."""
    attempt = handle["attempt"]
    trailer = parse_trailer(out, err, attempt)
    result = result_of(trailer) if trailer else None
    if result is not None:
        return result
    reply = parse_reply(out, attempt, "probe")
    if reply is not None and reply.state == guest.RUNNING:
        return None
    if reply is not None and reply.state == guest.ABSENT:
        return _absent(reply, int(handle["not_after"]))
    raise Indeterminate("The machine answered, but not about this command.", hint="Look at the machine itself.")


def _absent(reply: Reply, not_after: int) -> RawResult:
    if reply.machine_time > not_after:
        message = "The command never began, and can no longer begin: its start deadline has passed."
        return RawResult(status=AttemptStatus.NOT_STARTED, exit_code=None, message=message)
    until = datetime.fromtimestamp(not_after, tz=UTC)
    raise Indeterminate(
        f"The command has not begun, but may until {until:%H:%M:%S} UTC.", hint="Look again after that."
    )


def cancel_answer(reply: Reply | None) -> CancelAnswer:
    """Confirmed only when the machine said so: stopped, already ended, or kept from ever starting."""
    proven = reply is not None and reply.state in {guest.STOPPED, guest.DONE, guest.ABSENT}
    return CancelAnswer.CONFIRMED if proven else CancelAnswer.REQUESTED
