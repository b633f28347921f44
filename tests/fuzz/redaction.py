"""Target ``redactor``: a known secret never leaks, wherever a stream is cut, and no control character passes."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote

from engine.output import HIDDEN, SHORTEST_SECRET, clean, redact
from tests.fuzz.target import Target, controls_in

SECRET = "Tr0ub4dor+&3/x=Zq"
_LIMIT = 512


def call(data: bytes) -> None:
    """``%S`` stands for the secret, ``%B`` for it in base64, ``%H`` in hexadecimal, ``%U`` as in an address."""
    raw = data
    for place, form in _forms().items():
        raw = raw.replace(place, form)
    text, cut = clean(raw, limit_bytes=_LIMIT, secrets=(SECRET,))
    _assert_clean(text)
    assert cut or len(text.encode()) <= _LIMIT
    assert len(text.encode()) <= _LIMIT + 80, "longer than allowed"
    whole, _ = clean(raw, limit_bytes=10**6, secrets=(SECRET,))
    _assert_clean(whole)
    assert redact(whole, (SECRET,)) == whole, "a second look finds more"
    _cut_anywhere(raw)


def _cut_anywhere(raw: bytes) -> None:
    """Of a stream only the end arrived: the rest of a secret at its beginning must not show."""
    at = raw.find(SECRET.encode())
    for start in range(at + 1, at + len(SECRET) - SHORTEST_SECRET + 1) if at >= 0 else ():
        text, _ = clean(raw[start:], limit_bytes=10**6, secrets=(SECRET,), headless=True)
        rest = SECRET[start - at :]
        assert not text.startswith(rest), f"the end of a secret shows: {text[:40]!r}"


def _assert_clean(text: str) -> None:
    assert not controls_in(text), f"control characters: {text!r}"
    for form in _forms().values():
        assert form.decode() not in text, f"a secret shows: {text!r}"


def _forms() -> dict[bytes, bytes]:
    data = SECRET.encode()
    return {
        b"%S": data,
        b"%B": base64.b64encode(data).rstrip(b"="),
        b"%H": binascii.hexlify(data),
        b"%U": quote(SECRET, safe="").encode(),
    }


REDACTOR = Target(
    name="redactor",
    holds="a known secret never shows, and nothing invisible passes",
    call=call,
    words=(
        "%S",
        "%B",
        "%H",
        "%U",
        "password=",
        "token: ",
        "Bearer ",
        "\x1b[31m",
        "\x1b]0;",
        "\r",
        HIDDEN,
        "-----BEGIN RSA PRIVATE KEY-----",
    ),
)
