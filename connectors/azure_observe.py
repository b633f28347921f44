"""Reads what Azure shows of a run command. The envelope's own report wins; the platform's fields come second.

Success is never read from the provisioning state. What is not evidence of an end means: keep looking.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from connectors import guest
from connectors.azure_client import Json
from connectors.azure_side import ENDED, part, text_in
from connectors.envelope import parse_trailer, result_of
from engine.model import AttemptStatus
from engine.ports import Observation, RawResult

_HANDLER_FAILED: Final = -100  #: and below: the handler gave up before it ran the script
_KILLED: Final = -1
_NO_EXIT_CODE: Final = 2**31  #: and beyond: no system has such exit codes


def observation_of(command: Json, attempt_id: str, limit: int) -> Observation:
    """Read a run command with its instance view; ``limit`` is the script's own time limit in seconds."""
    view = part(part(command, "properties"), "instanceView")
    out, err = text_in(view, "output"), text_in(view, "error")
    trailer = parse_trailer(out, err, attempt_id)
    result = result_of(trailer) if trailer else None
    if result is not None:
        return Observation(result=result)
    state = str(view.get("executionState") or "Unknown")
    if state not in ENDED or trailer is not None:
        return Observation(running=state == "Running" or trailer is not None)
    return _without_report(view, state, (out, err), limit)


def _without_report(view: Json, state: str, streams: tuple[bytes, bytes], limit: int) -> Observation:
    """The envelope could not report. A refusal's exit code alone proves nothing: the machine must be asked."""
    code = view.get("exitCode")
    code = code if type(code) is int and abs(code) < _NO_EXIT_CODE else None
    status, message = _judged(state, code, _seconds(view), limit)
    if status is None:
        return Observation(running=True)
    out, err = streams
    return Observation(
        result=RawResult(
            status=status,
            exit_code=code if status in {AttemptStatus.SUCCEEDED, AttemptStatus.FAILED} else None,
            stdout=out,
            stderr=err,
            stdout_bytes=len(out),
            stderr_bytes=len(err),
            duration_seconds=_seconds(view),
            message=message,
        )
    )


def _judged(state: str, code: int | None, seconds: float | None, limit: int) -> tuple[AttemptStatus | None, str]:
    if code is not None and code <= _HANDLER_FAILED:
        return (
            AttemptStatus.INFRA_FAILED,
            f"The machine's run command handler failed with {code}; the script did not run.",
        )
    if state == "TimedOut" or (code == _KILLED and seconds is not None and seconds >= limit):
        return AttemptStatus.TIMED_OUT, "Azure ended the command at its time limit; parts of it may still run."
    if state == "Canceled":
        return AttemptStatus.CANCELLED, "Azure reports the command as cancelled."
    if code is None or code == _KILLED or code in guest.GUARD_EXITS:
        return None, ""
    status = AttemptStatus.SUCCEEDED if code == 0 and state == "Succeeded" else AttemptStatus.FAILED
    return status, f"Azure reports exit code {code}; the machine's own report is missing."


def _seconds(view: Json) -> float | None:
    try:
        began, ended = (datetime.fromisoformat(str(view[key])) for key in ("startTime", "endTime"))
        seconds = (ended - began).total_seconds()
    except (KeyError, ValueError, TypeError):  # the last one: only one of them has a time zone
        return None
    return max(0.0, seconds)
