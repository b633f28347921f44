"""What a fuzz target is: a name, a call that takes bytes, and what the call holds to be true.

A call raises ``AssertionError`` when the product breaks a promise, and lets through whatever the product should not
have raised. It must never depend on the time, on chance or on an earlier call.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import RunbookError
from engine.plaintext import is_invisible

LONGEST = 20_000  #: bytes; a longer input is cut, so that every input has a bound


@dataclass(frozen=True, kw_only=True)
class Target:
    """One door of the product, and how to knock at it."""

    name: str
    holds: str  #: one sentence for people
    call: Callable[[bytes], None]
    words: tuple[str, ...] = ()  #: pieces that a fuzzer could hardly guess
    longest: int = LONGEST

    def __call__(self, data: bytes) -> None:
        self.call(data[: self.longest])


def hidden_in(text: str, *, allowed: str = "") -> list[str]:
    """Return the characters that nobody can see."""
    if text.isascii() and text.isprintable():
        return []
    return [character for character in text if character not in allowed and is_invisible(character)]


def controls_in(text: str) -> list[str]:
    """Return the control and format characters, but for line feed and tab."""
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cf", "Cs"}]


def assert_speaks(refusal: RunbookError, *, allowed: str = "") -> None:
    """A refusal says what is wrong and what to do, in characters that everybody sees."""
    assert refusal.message, "a refusal without a message"
    assert refusal.hint, f"no cure: {refusal.message!r}"
    told = f"{refusal.message} {refusal.hint}"
    assert not hidden_in(told, allowed=allowed), f"a refusal repeats what nobody can see: {told!r}"


def is_storable(text: str) -> bool:
    """Say whether both databases take a text."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
