"""A tab, in the words of the person who uses it. It waits for what is to be seen, never for time to pass."""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress
from typing import Any

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from playground.slack.model import Message
from playground.stage import Stage

PATIENCE_MS = 40_000
CLICKS = 4  #: that somebody tries before giving up
APPROVE = "Approve & Continue"
REJECT = "Reject"
_JUST_APPROVE = re.compile(f"^{re.escape(APPROVE)}$")


class Tab:
    """One page; `page` is Playwright's."""

    def __init__(self, page: Any, stage: Stage) -> None:
        self.page = page
        self.stage = stage

    @property
    def channel(self) -> Any:
        return self.page.locator("section.channel")

    @property
    def thread(self) -> Any:
        return self.page.get_by_role("complementary", name="Thread")

    @property
    def dialog(self) -> Any:
        return self.page.locator("dialog.modal")

    def becomes(self, name: str) -> None:
        self.page.locator(f"input[name=actor][value={name}]").check(force=True)
        self.page.locator(f"input[name=actor][value={name}]:checked").wait_for()

    def types(self, line: str) -> None:
        composer = self.channel.get_by_role("combobox")
        self.dialog.wait_for(state="hidden")  # nobody types past an open dialog
        composer.fill(line)
        composer.press("Escape")
        composer.press("Enter")

    def executes(self, line: str) -> Message:
        """Start a session and open its thread; return its card."""
        before = self.shown()
        with self.page.expect_request("**/page/act/type"):
            self.types(line)
        card = self.new_card(before)
        self.opens(card)
        return card

    def shown(self) -> set[str]:
        """The messages that are in the channel by now; see ``new_card``."""
        return {message.ts for message in self.roots()}

    def new_card(self, before: set[str]) -> Message:
        """Wait for a session's card that was not among those ``before``."""
        card = self.stage.slack.wait_for(
            lambda: next((each for each in self.roots() if each.ts not in before and each.blocks), None), 60
        )
        assert card is not None
        return card

    def roots(self) -> list[Message]:
        return self.stage.slack.channel("ops").messages()

    def opens(self, card: Message) -> None:
        """Click on the link below a message; once more, as a person would, if it was drawn anew under the click."""
        link, opened = (each.locator(f'[data-ts="{card.ts}"]') for each in (self.channel, self.thread))
        for left in reversed(range(CLICKS)):
            link.locator(".thread-link").click()
            with suppress(PlaywrightTimeoutError) if left else nullcontext():
                opened.wait_for(timeout=PATIENCE_MS / CLICKS)
                return

    def gate(self, number: int) -> Any:
        """The open request for a step."""
        return self.thread.locator("li.message", has_text=f"Approve step {number} of").filter(
            has=self.page.get_by_role("button", name=_JUST_APPROVE)
        )

    def approves(self, number: int) -> None:
        self.gate(number).get_by_role("button", name=_JUST_APPROVE).click()

    def sees(self, *words: str) -> None:
        """Wait until a message of the thread has all these words."""
        message = self.thread.locator("li.message")
        for word in words:
            message = message.filter(has_text=re.compile(re.escape(word), re.IGNORECASE))
        message.first.wait_for()

    def view(self, name: str) -> None:
        self.page.get_by_role("navigation", name="Views").get_by_role("button", name=name).click()
        self.page.locator(f"main[data-view={name.lower()}]").wait_for()
