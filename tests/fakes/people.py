"""A Slack workspace as the directory sees it: members, guests, channels, and a switch for a day without Slack."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import NotAllowed, Precondition, Unverifiable
from engine.model import Person, Place

TEAM = "T0HOME"


class People:
    """See ``engine.ports.Directory``. While ``outage`` is set, nobody can be asked."""

    def __init__(self) -> None:
        self.members = {"U0ALICE", "U0BOB", "U0CAROL", "U0DAVE"}
        self.guests = {"U0GINA"}
        self.channels = {"C0OPS"}
        self.outage = False
        self._next: list[Callable[[], object]] = []

    def once_before(self, act: Callable[[], object]) -> None:
        """Let something happen when the next question arrives, and only then."""
        self._next.append(act)

    def require_member(self, person: Person) -> str:
        self._ask()
        if person.team != TEAM:
            raise NotAllowed("You belong to another workspace.", hint="Ask a full member.")
        if person.user in self.guests:
            raise NotAllowed("Guests cannot do this.", hint="Ask a full member.")
        if person.user not in self.members:
            raise NotAllowed("Slack does not know you.", hint="Ask a full member.")
        return person.user.removeprefix("U0").title()

    def require_postable(self, place: Place) -> None:
        self._ask()
        if place.channel not in self.channels:
            raise Precondition("The bot is not in this channel.", hint="Invite it there.")

    def _ask(self) -> None:
        while self._next:
            self._next.pop()()
        if self.outage:
            raise Unverifiable("Slack could not be asked.", hint="Try again in a minute.")
