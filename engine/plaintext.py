"""Which characters may stand in a script, a parameter value or a line of prose, and how much of them.

What an approver reads must be what a machine runs, so nothing invisible or look-alike may pass. Functions
raise ``ValueError`` with a sentence that names line, column and code point. Nothing here may ever repair or
normalise text.
"""

from __future__ import annotations

import re
import unicodedata

MAX_SCRIPT = 6000  #: characters; a script must fit whole into the message that asks for its approval
MAX_BLANK_LINES = 20
MAX_SPACES = 200

INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})  #: Unicode categories that show nothing
BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  #: letters and symbols that are drawn as nothing
_SCRIPT_CHARACTER = re.compile(r"[^\x20-\x7e\n\t]")
_BLANK_LINES = re.compile(rf"(?:^[ \t]*\n){{{MAX_BLANK_LINES + 1}}}", re.MULTILINE)
_SPACES = re.compile(rf"[ \t]{{{MAX_SPACES + 1}}}")
_PLACEHOLDER = re.compile(r"\{\{\s*(?!end\s*\}|else\s*\})([A-Za-z_]\w*)\s*\}\}", re.ASCII)


class BadText(ValueError):
    """Text that nobody may run or show; ``line`` and ``column`` count from 1 within the text, 0 when unknown."""

    def __init__(self, what: str, line: int = 0, column: int = 0) -> None:
        self.what = what
        self.line = line
        self.column = column
        super().__init__(f"line {line}, column {column} {what}" if line else what)


def code_point(character: str) -> str:
    """Name a character that may be invisible, such as ``U+202E RIGHT-TO-LEFT OVERRIDE``."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'control character')}"


def position(text: str, index: int) -> tuple[int, int]:
    """Return line and column, both from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def is_invisible(character: str) -> bool:
    return unicodedata.category(character) in INVISIBLE or character in BLANKS


def check_script(text: str) -> str:
    """Refuse anything but a plain, fully visible script; return it unchanged."""
    if not text.strip():
        raise BadText("is empty: write the command to run")
    if found := _SCRIPT_CHARACTER.search(text):
        what = f"is {code_point(found.group())}; only printable ASCII may stand in a command: retype it"
        raise BadText(what, *position(text, found.start()))
    if found := _PLACEHOLDER.search(text):
        what = f'is the placeholder {found.group()}, which nothing replaces: write "${found.group(1)}"'
        raise BadText(what, *position(text, found.start()))
    if text.startswith("#!"):
        raise BadText("is a line with #!, which has no effect: remove it and set shell instead", 1, 1)
    return check_size(text)


def check_size(text: str) -> str:
    """Refuse text that cannot be shown whole or hides its tail; return it unchanged."""
    if len(text) > MAX_SCRIPT:
        raise BadText(f"has {len(text)} characters; at most {MAX_SCRIPT} can be shown: split it in two")
    if found := _BLANK_LINES.search(text):
        what = f"begins more than {MAX_BLANK_LINES} blank lines, which would hide the rest: remove them"
        raise BadText(what, *position(text, found.start()))
    if found := _SPACES.search(text):
        what = f"begins more than {MAX_SPACES} spaces, which would hide the rest: remove them"
        raise BadText(what, *position(text, found.start()))
    return text


def check_prose(text: str) -> str:
    """Refuse anything but one line without invisible characters; return it unchanged."""
    if "\n" in text:
        raise BadText("has several lines: write it in one")
    return check_paragraphs(text)


def check_paragraphs(text: str) -> str:
    """Refuse invisible characters in text of any number of lines meant for people; return it unchanged."""
    for index, character in enumerate(text):
        if character not in "\n\t" and is_invisible(character):
            what = f"is {code_point(character)}, which nobody can see: remove it"
            raise BadText(what, *position(text, index))
    return check_size(text)


def check_value(text: str) -> str:
    """Refuse anything but one line of printable ASCII; return it unchanged."""
    for index, character in enumerate(text):
        if not " " <= character <= "~":
            what = f"character {index + 1} is {code_point(character)}; only printable ASCII may be used"
            raise BadText(what)
    return text
