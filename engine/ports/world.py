"""Time, ids, people and runbook files, as the core asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from engine.model import Person, Place
from engine.runbook import Document


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the present as an aware UTC time."""


class Ids(Protocol):
    def ulid(self) -> str:
        """Return a new ULID in lower case: 26 characters, sortable by time, never repeated."""

    def token(self) -> str:
        """Return 128 random bits as 32 hexadecimal characters."""


class Directory(Protocol):
    """People. Answers may be up to 60 s old; no answer means no: ``Unverifiable``."""

    def require_member(self, person: Person) -> str:
        """Return the display name of a full, active human member of our workspace; else raise ``NotAllowed``."""

    def require_postable(self, place: Place) -> None:
        """Return if the bot may post there; else raise ``Precondition`` saying how to invite it.

        ``Unverifiable`` when nobody can be asked now.
        """


class Catalog(Protocol):
    """Runbook files, read and validated. A broken file hides only itself."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all valid runbooks, sorted."""

    def get(self, name: str) -> Document:
        """Return a runbook; ``NotFound`` names the nearest ones, ``InvalidInput`` says what is wrong with its file."""

    def problems(self) -> Mapping[str, str]:
        """Return file name -> what is wrong with it, for files that were refused."""
