"""Targets ``arm`` and ``guest``: whatever a cloud or a machine answers, success needs evidence.

The judge looks for the evidence in its own way and must never ask the product what it thinks of it.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

from azure.core.exceptions import HttpResponseError

from connectors import guest
from connectors.azure_action import _finished, _message
from connectors.azure_errors import translate
from connectors.azure_observe import observation_of
from connectors.outcome import cancel_answer, probe_answer
from connectors.trailer import parse_reply, parse_trailer, result_of
from engine.errors import ConnectorError, Indeterminate, Permanent, Transient
from engine.model import AttemptStatus
from engine.ports import CancelAnswer, RawResult
from tests.fuzz.target import Target

ATTEMPT = "01fuzz00000000000000000000"
HANDLE = {"attempt": ATTEMPT, "not_after": "1700000000"}
MOST = 2**31
_REPORT = re.compile(
    rf"^{re.escape(guest.MARKER)} {ATTEMPT} out (\{{[^\r\n]*?\}})(?: [A-Za-z0-9+/=]*)?[ \r]*$", re.MULTILINE
)


def arm(data: bytes) -> None:
    """A line of digits is the status of the answer; the rest is its body."""
    status, body = _answer(data)
    if isinstance(body, dict):
        _observe(body)
        if _finished(status, body):
            _judge_action(_message(body))
    _refused(status, data)


def _observe(body: dict[str, Any]) -> None:
    seen = observation_of(body, ATTEMPT, 60)
    if seen.result is None:
        return
    _assert_typed(seen.result)
    if seen.result.status is AttemptStatus.SUCCEEDED:
        view: dict[str, Any] = body["properties"]["instanceView"]
        claims = view.get("executionState") == "Succeeded" and view.get("exitCode") == 0
        platform = claims and type(view["exitCode"]) is int
        assert platform or _reported(str(view.get("output"))), "succeeded without evidence"


def _judge_action(text: bytes) -> None:
    trailer = parse_trailer(text, text, ATTEMPT)
    result = result_of(trailer) if trailer else None
    if result is not None:
        _assert_typed(result)
        assert result.status is not AttemptStatus.SUCCEEDED or _reported(text.decode(errors="replace"))


def _refused(status: int, data: bytes) -> None:
    """A refusal or a failure is one of three errors, and only a refusal promises that nothing was started."""
    error = HttpResponseError(message="answer", response=_Response(status, data))  # type: ignore[arg-type]
    for write in (True, False):
        told = translate(error, write=write, doing="starting a command")
        assert isinstance(told, Transient | Permanent | Indeterminate), told
        assert told.message
        if write and not 400 <= status < 500:
            assert isinstance(told, Indeterminate), "nobody knows whether a write was done, and it is denied"
        wait = getattr(told, "retry_after", None)
        assert wait is None or 0 <= wait < 10**7


class _Response:
    """An answer as the SDK's errors look at it."""

    reason = "because"

    def __init__(self, status: int, data: bytes) -> None:
        self.status_code = status
        self.headers = {"Retry-After": data[:12].decode("latin-1"), "x-ms-request-id": "1"}
        self._text = data.partition(b"\n")[2].decode("utf-8", errors="replace")

    def text(self, encoding: str | None = None) -> str:  # noqa: ARG002 - the SDK gives one
        return self._text


def machine(data: bytes) -> None:
    """Two streams, parted by the first NUL; ``%ID`` stands for the attempt that is looked for."""
    out, _, err = data.replace(b"%ID", ATTEMPT.encode()).replace(b"%M", guest.MARKER.encode()).partition(b"\0")
    trailer = parse_trailer(out, err, ATTEMPT)
    result = result_of(trailer) if trailer else None
    if result is not None:
        _assert_typed(result)
        if result.status is AttemptStatus.SUCCEEDED:
            assert _reported(out.decode("latin-1")), f"succeeded without evidence: {out!r}"
    _probe(out, err)
    reply = parse_reply(out, ATTEMPT, "kill")
    if cancel_answer(reply) is CancelAnswer.CONFIRMED:
        assert f"{ATTEMPT} kill ".encode() in out, "confirmed without evidence"


def _probe(out: bytes, err: bytes) -> None:
    try:
        result = probe_answer(HANDLE, out, err)
    except ConnectorError as told:
        assert isinstance(told, Indeterminate), told
        assert told.message
        return
    if result is not None:
        _assert_typed(result)
        assert result.status is not AttemptStatus.NOT_STARTED or b"absent" in out, "not started without evidence"


def _assert_typed(result: RawResult) -> None:
    """Everything has its type and fits into a row of both databases."""
    assert isinstance(result.status, AttemptStatus)
    assert result.exit_code is None or (type(result.exit_code) is int and -MOST <= result.exit_code < MOST)
    assert len(result.stdout) <= result.stdout_bytes < 2**63
    assert len(result.stderr) <= result.stderr_bytes < 2**63
    seconds = result.duration_seconds
    assert seconds is None or (0 <= seconds < 10**12 and math.isfinite(seconds)), seconds


def _reported(out: str) -> bool:
    """Say whether some report of this attempt says itself that the script ended with 0."""
    return any(_says_zero(facts) for facts in _REPORT.findall(out))


def _says_zero(text: str) -> bool:
    try:
        facts = json.loads(text)
    except ValueError:
        return False  # a report in pieces says nothing
    return facts.get("state") == guest.DONE and type(facts.get("rc")) is int and facts["rc"] == 0


def _answer(data: bytes) -> tuple[int, Any]:
    head, _, rest = data.partition(b"\n")
    status = int(head) if re.fullmatch(rb"[1-5][0-9]{2}", head) else 200
    try:
        return status, json.loads(rest)
    except (ValueError, RecursionError):
        return status, None


def report(facts: dict[str, Any], printed: bytes = b"", kind: str = "out") -> bytes:
    """Write a report as the envelope does."""
    packed = base64.b64encode(printed)
    return b" ".join([f"{guest.MARKER} {ATTEMPT} {kind}".encode(), json.dumps(facts).encode(), packed])


_KEYS = ("properties", "instanceView", "executionState", "exitCode", "output", "error", "startTime", "endTime")
ARM = Target(
    name="arm",
    holds="an answer of Azure is a typed result or a stated error, and never success without evidence",
    call=arm,
    words=(*(f'"{key}": ' for key in _KEYS), '"Succeeded"', '"Failed"', '"TimedOut"', '"Canceled"', '"value"', ATTEMPT),
)
GUEST = Target(
    name="guest",
    holds="what a machine prints is a typed report of this attempt or none, and never success without evidence",
    call=machine,
    words=(
        "%M %ID out {",
        '"state": "done"',
        '"rc": 0',
        '"ms": 1',
        '"gz": 1',
        '"cut": 1',
        "%M %ID err {",
        "\0",
        "absent",
    ),
)
