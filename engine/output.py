"""Makes what a machine printed fit to be stored and shown: decoded, harmless, without secrets, capped.

Secrets go before the cap, so that no cut can leave half of one that no pattern knows. Everything runs in linear
time. Nothing here may ever judge the output, and cleaned text is still untrusted: views must show it literally.
"""

from __future__ import annotations

import re
import string
import unicodedata
from base64 import b64encode
from binascii import hexlify
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

HIDDEN = "[redacted]"
SHORTEST_SECRET = 6  #: a shorter known value would hide half of any text

_ANSI = re.compile(
    r"\x1b\[[0-9:;<=>?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours and cursor
    r"|\x1b[\]PX^_][^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS and other strings: titles, links
    r"|\x1b[ -/]{0,4}[0-~]"
    r"|\x9b[0-9:;<=>?]{0,64}[ -/]{0,8}[@-~]"
)
_RETURNS = re.compile(r"\r+\n?")  #: a lone carriage return would let later text overwrite earlier text
_SUSPECT = re.compile(r"[^\n\t\x20-\x7e]")
_ESCAPED = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

#: names of secrets, as the end of a longer name such as DB_PASSWORD, clientSecret or spring.datasource.password
_WORDS = (
    r"passw(?:or)?d|passphrase|passcode|(?<![a-z])pass|pwd|secret|(?:api|access|account|private|signing|encryption)[_-]?key"
    r"|secret[_-]?(?:access[_-]?)?key|(?:shared|storage)[_-]?(?:access[_-]?)?key|shared[_-]?access[_-]?signature"
    r"|token|credentials?|connection[_-]?string"
)
_NAME = rf"(?:{_WORDS})[0-9]{{0,2}}(?![A-Za-z0-9_-])"
_LETTERS = r"[A-Za-z0-9._~+/=-]"

#: shapes that are secrets wherever they stand
_SHAPES = (
    (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----(?:(?!-----)[\s\S]){0,20000}"
        r"(?:-----END [A-Z0-9 ]{1,60}-----)?"
    ),
    r"\beyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{4,16384}(?:\.[A-Za-z0-9_-]{0,8192})?",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{20,255}|\bgithub_pat_[A-Za-z0-9_]{20,255}|\bglpat-[A-Za-z0-9_-]{18,255}",
    r"\bxox[abeoprsc](?:\.xox[a-z])?-[A-Za-z0-9-]{8,255}|\bxapp-[A-Za-z0-9-]{8,255}",
    r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{8,255}",
    r"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}",  # an Entra application's secret
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==",  # a key of a storage, Cosmos DB or Batch account
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{33}AzCa[A-Za-z0-9+/]{5}=",  # a key of a Redis cache
    r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}|\bsk-[A-Za-z0-9_-]{20,255}|\bAIza[A-Za-z0-9_-]{35}",
    r"\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[A-Za-z0-9_-]{32,512}",
)
#: (what is kept, what is hidden after it, what must follow); upper and lower case alike
_AFTER = (
    (
        (
            r"\b(?:proxy-)?authorization[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?"
            r"(?:basic|bearer|digest|negotiate|token|apikey|sharedkey|sharedaccesssignature|aws4-hmac-sha256)[ \t]{1,8}"
        ),
        r"[^\r\n\"']{1,8192}",
    ),
    (r"\bauthorization[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?", _LETTERS + r"{16,8192}"),
    (r"\bbearer[ \t]{1,8}", rf"(?:(?={_LETTERS}{{0,200}}[0-9._~+/=]){_LETTERS}{{8,8192}}|{_LETTERS}{{20,8192}})"),
    (r"\b(?:set-)?cookie:[ \t]{0,8}", r"[^\r\n]{1,8192}"),
    (r"-(?:key|token|secret):[ \t]{0,8}", r"(?=\S{0,64}[0-9])[^\s\"',;]{8,8192}"),
    (r"://[^\s:/@\"']{0,256}:", r"[^\s/\"']{1,1024}(?=@)"),
    (r"[?&](?:sig|code|access_token|token|key|password)=", r"[^&\s\"'<>]{4,4096}"),
    (r"\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)[ \t]{0,8}=[ \t]{0,8}", r"[^;\s\"'<>]{4,4096}"),
    (r"\b(?:password|pwd)[ \t]{0,8}=[ \t]{0,8}", r"[^;\s\"'<>]{1,4096}(?=;)"),
    (_NAME + r"\\\"[ \t]{0,8}[:=][ \t]{0,8}\\\"", r"[^\"\\\n]{1,4096}"),  # JSON inside JSON
    (_NAME + r"[\"']?[ \t]{0,8}(?::|=>?)[ \t]{0,8}\"", r"(?:[^\"\\\n]|\\.){1,4096}"),
    (_NAME + r"[\"']?[ \t]{0,8}(?::|=>?)[ \t]{0,8}'", r"(?:[^'\\\n]|\\.){1,4096}"),
    (_NAME + r"[ \t]{0,8}=[ \t]{0,8}", r"[^\s\"'`;,&|<>()]{1,4096}"),
    (_NAME + r":[ \t]{1,8}", r"(?=\S{0,64}[0-9+=!@#$%^&*])[^\s\"'`;,]{6,4096}"),
    (
        r"(?:password|secret|token):[ \t]{1,8}",
        r"[^\s\"'`;,]{6,4096}(?=[ \t]{0,8}(?:\n|\Z))",
    ),
    (r"<[a-z_.-]{0,40}(?:password|secret|token|key)>", r"[^<\n]{1,4096}(?=</)"),
    (rf"(?<!\S)--?(?:[a-z]{{1,20}}-)?(?:{_WORDS})[ \t]{{1,8}}", r"(?!-)[^\s\"']{1,4096}"),
    (r"\b(?:mysql|mysqldump|mysqladmin|sshpass)\b[^\n]{0,200}?[ \t]-p[ \t]?", r"[^\s-]\S{0,1024}"),
    (r"\bcurl\b[^\n]{0,200}?[ \t](?:-u|--user)[ \t]{1,8}[\"']?[^\s:\"']{1,64}:", r"[^\s\"']{1,1024}"),
)
_SHAPE_PATTERNS = tuple(re.compile(shape) for shape in _SHAPES)
_AFTER_PATTERNS = tuple(
    re.compile(f"(?P<keep>{before})(?!{re.escape(HIDDEN)}){value}", re.IGNORECASE) for before, value in _AFTER
)
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----")
_KEY_CHARACTERS = string.ascii_letters + string.digits + "+/=\n\t "
_LONGEST_KEY = 20_000
_EDGE = 64 * 1024  #: dropped at a cut through raw bytes: longer than any secret that the cut could halve


def clean(raw: bytes, *, limit_bytes: int, secrets: Sequence[str] = (), headless: bool = False) -> tuple[str, bool]:
    """Return text that may be stored and shown, and whether its middle was left out.

    The text is at most ``limit_bytes`` long in UTF-8, apart from the line that says how much was left out.
    ``headless`` says that only the end of the stream arrived: it may begin in the middle of a secret.
    """
    if headless:
        raw = _from_whole_line(raw)
    window = limit_bytes + 2 * _EDGE
    if len(raw) <= 2 * window:
        data = _harmless(raw, secrets).encode("utf-8")
        return (data.decode("utf-8"), False) if len(data) <= limit_bytes else (_ends(data, data, limit_bytes), True)
    # the middle of a flood is never looked at, so that its cost depends on the limit only
    head = _harmless(raw[:window], secrets)[:-_EDGE].encode("utf-8")
    tail = _harmless(raw[-window:], secrets)[_EDGE:].encode("utf-8")
    return _ends(head, tail, limit_bytes, total=len(raw)), True


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """Replace known secret values, in the usual encodings, and everything that has the shape of a secret."""
    for form in _forms(secrets):
        text = text.replace(form, HIDDEN)
    for shape in _SHAPE_PATTERNS:
        text = shape.sub(HIDDEN, text)
    text = _without_headless_keys(text)
    for pattern in _AFTER_PATTERNS:
        text = pattern.sub(_keeping, text)
    return text


def _harmless(raw: bytes, secrets: Sequence[str]) -> str:
    text = raw.decode("utf-16-le" if raw.startswith(b"\xff\xfe") else "utf-8", errors="replace").lstrip("\ufeff")
    text = _ANSI.sub("", text.replace("\0", ""))  # NUL first: it would split a secret from its pattern
    return redact(_SUSPECT.sub(_escaped, _RETURNS.sub("\n", text)), secrets)


def _from_whole_line(raw: bytes) -> bytes:
    """Leave out the line of which only the end arrived, or only its first word when there is no other line."""
    half, end, rest = raw.partition(b"\n")
    if rest.strip():
        return "…\n".encode() + rest
    _, _, words = half.strip().partition(b" ")
    return "… ".encode() + words + end


def _without_headless_keys(text: str) -> str:
    """Hide a private key of which only the end was delivered."""
    parts: list[str] = []
    done = 0
    for end in _KEY_END.finditer(text):
        before = text[done : end.start()]
        near = before[-_LONGEST_KEY:]
        parts += [before[: len(before) - len(near)], near.rstrip(_KEY_CHARACTERS), "\n", HIDDEN]
        done = end.end()
    return "".join([*parts, text[done:]])


def _keeping(found: re.Match[str]) -> str:
    return f"{found['keep']}{HIDDEN}"


def _forms(secrets: Sequence[str]) -> list[str]:
    """Return every way in which the known values may be written, longest first."""
    forms = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _encodings(secret)}
    return sorted(forms, key=lambda form: (-len(form), form))


def _encodings(secret: str) -> set[str]:
    data = secret.encode("utf-8", errors="replace")
    hexadecimal = hexlify(data).decode("ascii")
    plain = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        hexadecimal,
        hexadecimal.upper(),
    }
    plain.add(secret.replace("\\", "\\\\").replace('"', '\\"'))
    return plain | {form for start in range(3) for form in _base64_inside(data, start)}


def _base64_inside(data: bytes, start: int) -> set[str]:
    """Return the part of a base64 text that is the same whatever stands before and after the value."""
    encoded = b64encode(b"\0" * start + data).decode("ascii")
    first = (0, 2, 3)[start]
    last = (len(data) + start) * 8 // 6
    inside = encoded[first:last]
    if len(inside) < SHORTEST_SECRET:
        return set()
    return {inside, inside.replace("+", "-").replace("/", "_")}


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    if unicodedata.category(character) not in _ESCAPED:
        return character
    point = ord(character)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{{{point:x}}}"


def _ends(head: bytes, tail: bytes, limit: int, total: int | None = None) -> str:
    """Return the first third and the last two thirds of the limit, and say how many bytes are missing between."""
    first = head[: limit // 3].decode("utf-8", errors="ignore")
    last = tail[max(0, len(tail) - (limit - limit // 3)) :].decode("utf-8", errors="ignore")
    kept = len(first.encode("utf-8")) + len(last.encode("utf-8"))
    left_out = (len(head) if total is None else total) - kept
    return f"{first}\n[… {left_out} bytes left out …]\n{last}"
