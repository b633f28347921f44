"""Inputs for each target that look almost right: pieces of real ones, put together at random, and real ones spoilt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bot.grammar import USAGES
from bot.slack_http import PATH
from connectors import guest
from tests.fuzz.door import FORM
from tests.fuzz.machines import ATTEMPT
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
RECORDED = [path.read_bytes() for path in sorted((ROOT / "tests" / "payloads").glob("*.json"))]
RUNBOOKS = [path.read_bytes() for path in sorted((ROOT / "runbooks").glob("*.yaml"))]
ODD_TEXT = st.one_of(st.text(max_size=12), st.sampled_from(["", "\0", "\ud800", "\u202e", "9" * 400, "x" * 300]))
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), ODD_TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes, words: tuple[str, ...]) -> bytes:
    """A real input in which some places were cut out, doubled, or replaced by something else."""
    data = whole
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 30)))
        put = draw(st.one_of(st.binary(max_size=8), st.sampled_from([word.encode() for word in words or ("",)])))
        data = data[:at] + put + data[to:]
    return data


def put_together(words: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Words of the target and text between them, in any order."""
    piece = st.one_of(st.sampled_from(words), st.text(max_size=6), st.sampled_from([" ", "\n", "=", ": ", ","]))
    return st.lists(piece, max_size=20).map(lambda pieces: "".join(pieces).encode("utf-8", errors="surrogatepass"))


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@st.composite
def spoilt_json(draw: st.DrawFn) -> bytes:
    """A recorded payload in which one value, at any depth, is another one or missing."""
    whole = json.loads(draw(st.sampled_from(RECORDED)))
    here: Any = whole
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw(st.sampled_from(keys))
        if not isinstance(here[key], dict | list) or not here[key] or draw(st.booleans()):
            break
        here = here[key]
    if isinstance(here, dict) and draw(st.booleans()):
        del here[key]
    else:
        here[key] = draw(JUNK)
    return dumped(whole)


FACTS = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(["done", "late", "running", "absent", "cancelled", "duplicate", "interrupted", 7]),
        "rc": st.one_of(st.integers(-(2**40), 2**40), st.sampled_from([0, 1, "0", None, 0.0, False])),
        **{key: st.one_of(st.integers(-5, 2**80), JUNK) for key in ("ms", "out", "err", "at", "timeout", "cut", "gz")},
    },
)


@st.composite
def reports(draw: st.DrawFn) -> bytes:
    """What a machine printed: reports about this attempt and others, true and spoilt."""
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["out", "err", "probe", "kill", "read"]))
        facts, packed = dumped(draw(FACTS)), draw(st.sampled_from([b"", b" aGVsbG8=", b" !", b" H4sIAAAA"]))
        lines.append(f"{guest.MARKER} {ATTEMPT} {kind} ".encode() + facts + packed)
    return draw(st.sampled_from([b"\n", b"\r\n", b"\0"])).join(lines)


VIEW = st.fixed_dictionaries(
    {},
    optional={
        "executionState": st.sampled_from(["Succeeded", "Failed", "TimedOut", "Canceled", "Running", "Unknown", 0]),
        "exitCode": st.one_of(st.integers(-200, 200), st.sampled_from([0, -1, True, False, 0.0, "0", None, 2**40])),
        "output": st.one_of(ODD_TEXT, reports().map(lambda data: data.decode("utf-8", errors="replace"))),
        "error": ODD_TEXT,
        "startTime": st.sampled_from(["2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "never", 7, None]),
        "endTime": st.sampled_from(["2026-01-01T00:00:09", "2026-01-01T00:00:09+00:00", "9999-12-31T23:59:59", ""]),
    },
)
ERROR = st.fixed_dictionaries({"error": st.fixed_dictionaries({"code": JUNK, "message": JUNK})})
ANSWERS = st.one_of(
    st.builds(lambda view: {"properties": {"instanceView": view}}, st.one_of(VIEW, VIEW, VIEW, JUNK)),
    st.builds(lambda value: {"status": "Succeeded", "properties": {"output": {"value": value}}}, JUNK),
    st.builds(lambda text: {"value": [{"message": text.decode("utf-8", errors="replace")}]}, reports()),
    st.dictionaries(st.sampled_from(["properties", "value", "status", "error"]), JUNK),
    ERROR,
)
STATUSES = st.sampled_from([200, 202, 204, 400, 401, 403, 404, 408, 409, 429, 500, 503])
ARM_ANSWERS = st.builds(lambda status, body: b"%d\n" % status + dumped(body), STATUSES, ANSWERS)

NAMES = st.sampled_from(
    ["content-type", "authorization", "user-agent", "x-slack-signature", "x-slack-request-timestamp"]
)
VALUES = st.one_of(
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30),
    st.sampled_from(["9" * 400, FORM, "application/json", "Bearer x", "v0=" + "0" * 64, "v0=" + "\u00b2" * 64]),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"payload=%7B%7D",
            b"payload=%7B%7D&payload=%7B%7D",
            b'{"a":1,"a":2}',
            b"a=1&a=2",
            b"[" * 5000,
            b'{"a":"\\ud800"}',
        ]
    ),
    JUNK.map(dumped),
    st.binary(min_size=1, max_size=9).map(lambda piece: piece * 2000),
)
LINES = st.one_of(
    st.builds(lambda name, value: f"{name}: {value}".encode("latin-1"), NAMES, VALUES),
    st.sampled_from(
        [b"@cut", b"@pieces 3", b"@sign\ncontent-type: application/json", b"@sign\ncontent-type: " + FORM.encode()]
    ),
)
ADDRESSES = st.sampled_from(
    [
        f"POST {PATH}",
        f"POST {PATH}",
        f"POST {PATH}",
        f"GET {PATH}",
        f"POST {PATH}/",
        "POST /api/v1/agent/execute",
        "GET /api/v1/agent/sessions?limit=x",
        "POST /api/v1/agent/1/approve-step?step_number=1",
        "DELETE /api/v1/agent/1",
        "GET /nowhere%0a%1b[31m",
        "GET /healthz",
        "POST /metrics",
        "GET //slack/events",
        "GET /api/v1/agent/\u00e9",
    ]
)
REQUESTS = st.builds(
    lambda address, lines, body: b"\n".join([address.encode("latin-1"), *lines]) + b"\n\n" + body,
    ADDRESSES,
    st.lists(LINES, max_size=4),
    BODIES,
)
PRINTED = st.lists(
    st.one_of(
        st.sampled_from(TARGETS["redactor"].words), st.text(max_size=12), st.sampled_from(["\n", " ", "=", "\0"])
    ),
    max_size=40,
).map(lambda pieces: "".join(pieces).encode("utf-8", errors="replace"))
COMMANDS = st.builds(
    lambda verb, rest: f"{verb} {rest}".encode("utf-8", errors="surrogatepass"),
    st.sampled_from(sorted(USAGES)),
    st.one_of(ODD_TEXT, st.lists(st.one_of(st.sampled_from(TARGETS["slash"].words), ODD_TEXT)).map(" ".join)),
)


def _spoilt(wholes: list[bytes], name: str) -> st.SearchStrategy[bytes]:
    return st.one_of([spoilt(whole, TARGETS[name].words) for whole in wholes])


EXAMPLES: Mapping[str, st.SearchStrategy[bytes]] = {
    "slash": st.one_of(COMMANDS, put_together(TARGETS["slash"].words), st.binary(max_size=60)),
    "runbook": st.one_of(_spoilt(RUNBOOKS, "runbook"), put_together(TARGETS["runbook"].words)),
    "payload": st.one_of(spoilt_json(), _spoilt(RECORDED, "payload"), JUNK.map(dumped)),
    "http": st.one_of(REQUESTS, REQUESTS, put_together(TARGETS["http"].words)),
    "redactor": st.one_of(PRINTED, st.binary(max_size=300)),
    "views": st.binary(min_size=64, max_size=4000),
    "arm": st.one_of(ARM_ANSWERS, ARM_ANSWERS, put_together(TARGETS["arm"].words)),
    "guest": st.one_of(reports(), put_together(TARGETS["guest"].words)),
}
