"""A scene: one thread, the people in it, and the machines they talk about.

It sees and does only what people, operators and auditors could: Slack, the machines' own records, the bot's process.
It must never look inside the bot, and what it has broken it mends when the story ends, however that ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from rich.console import Console

from playground.azure.faults import Fault
from playground.azure.machine import Machine
from playground.slack.faults import FaultKind
from playground.slack.model import Message
from playground.slack.people import Person
from playground.slack.results import ActionResult, SubmitResult
from playground.stage import Stage
from playground.transcript import Transcript

T = TypeVar("T")
APPROVE = "Approve & Continue"
REJECT = "Reject"
PATIENCE_SECONDS = 60.0


class StoryFailed(Exception):
    """The story went differently from how it is told."""


@dataclass(frozen=True)
class Watched:
    """How often a machine has done something so far, and when that was first counted."""

    vm: Machine
    what: str
    before: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "before", self.count())

    def count(self) -> int:
        return sum(self.what in line for line in self.vm.effects())


class Scene:
    """One thread, seen by several people."""

    def __init__(self, stage: Stage, console: Console, *, channel: str = "ops") -> None:
        self.stage = stage
        self.channel = channel
        self.log = Transcript(stage.slack, console)
        self.root_ts = ""
        self.afterwards = ExitStack()
        self._seen: set[str] = set()

    def person(self, name: str) -> Person:
        return self.stage.slack.person(name)

    def narrate(self, text: str) -> None:
        """Say what happens next, after showing what has happened."""
        self.look()
        self.log.narrate(text)

    def look(self) -> None:
        """Print what is new in the thread."""
        if self.root_ts:
            self.log.catch_up(self.channel, self.root_ts)

    def executes(self, name: str, line: str) -> Message:
        """Type a command that starts a session; return the session's card."""
        before = {message.ts for message in self.stage.slack.channel(self.channel).messages()}
        self.log.typed(name, line)
        answer = self.person(name).types(line, channel=self.channel)
        self.check(answer.acked, f"{line!r} was not acknowledged: {answer.error}")
        if answer.text:
            self.log.whisper(name, answer.text)
        self.check(answer.text.startswith("Preparing"), f"{line!r} was refused: {answer.text}")
        known = len(self.person(name).ephemerals(self.channel))

        def began() -> Message | None:
            later = self.person(name).ephemerals(self.channel)[known:]
            self.check(not later, f"{line!r} was refused: {later[0].text if later else ''}")
            return next((m for m in self.stage.slack.channel(self.channel).messages() if m.ts not in before), None)

        card = self.wait_for(began, "the session's card in the channel")
        self.root_ts = card.ts
        return card

    def gate(self) -> Message:
        """Wait for the next approval request; the same one is not given twice."""

        def newest() -> Message | None:
            asked = [m for m in self.thread() if APPROVE in m.buttons() or "Done" in m.buttons()]
            return next((m for m in asked if m.ts not in self._seen), None)

        message = self.wait_for(newest, "an approval request in the thread")
        self._seen.add(message.ts)
        self.look()
        return message

    def clicks(self, name: str, message: Message, label: str) -> ActionResult:
        """Click a button; the answer must come in time."""
        self.log.typed(name, f"clicks [{label}]")
        result = self.person(name).clicks(message, label)
        self.check(result.acked, f"the click on {label!r} was not acknowledged: {result.error}")
        return result

    def wait_for_words(self, *words: str) -> Message:
        """Wait until a message of the thread contains all words."""

        def found() -> Message | None:
            told = ((m, f"{m.text}\n{m.plain()}".lower()) for m in self.thread())
            return next((m for m, text in told if all(word.lower() in text for word in words)), None)

        message = self.wait_for(found, f"{' and '.join(words)!r} in the thread")
        self.look()
        return message

    def asks(self, name: str, line: str) -> str:
        """Type a command that starts nothing; return what the person is told at once."""
        self.log.typed(name, line)
        answer = self.person(name).types(line, channel=self.channel)
        self.check(answer.acked, f"{line!r} was not acknowledged: {answer.error}")
        self.log.whisper(name, answer.text)
        return answer.text

    def told(self, name: str, *words: str) -> str:
        """Wait until only this person is shown all words; return what they read."""

        def found() -> str | None:
            seen = self.person(name).ephemerals(self.channel)
            said = (f"{m.text}\n{m.plain()}" if m.blocks else m.text for m in seen)
            return next((text for text in said if all(word.lower() in text.lower() for word in words)), None)

        text = self.wait_for(found, f"{' and '.join(words)!r}, visible to {name} only")
        self.log.whisper(name, text)
        return text

    def gives_reason(self, name: str, reason: str) -> SubmitResult:
        """Write a reason into the dialog that has opened, and send it."""
        who = self.person(name)
        dialog = self.wait_for(who.modal, "the dialog that asks for a reason")
        field = next(block for block in dialog.blocks if block["type"] == "input")
        self.log.typed(name, f"writes {reason!r}")
        return who.submits(dialog, {f"{field['block_id']}.{field['element']['action_id']}": reason})

    def now(self, message: Message) -> Message:
        """The message as everybody sees it now."""
        return self.stage.slack.channel(self.channel).message(message.ts)

    def offers(self, label: str) -> Message:
        """Wait until a message of the thread offers this button."""
        return self.wait_for(lambda: next((m for m in self.thread() if label in m.buttons()), None), f"[{label}]")

    def closed(self, message: Message) -> Message:
        """Wait until a message offers no button any more; return it as it is then."""
        return self.wait_for(lambda: None if (m := self.now(message)).buttons() else m, "a message without buttons")

    @property
    def session(self) -> int:
        """The number of the session, as its card says it."""
        found = re.search(r"Session (\d+)", self.card().plain())
        self.check(found, "the card does not name its session")
        assert found is not None
        return int(found[1])

    def thread(self) -> list[Message]:
        return self.stage.slack.channel(self.channel).thread(self.root_ts)

    def card(self) -> Message:
        return self.stage.slack.channel(self.channel).message(self.root_ts)

    def wait_for(self, predicate: Callable[[], T | None], what: str) -> T:
        """Wait for something to be seen in Slack."""
        try:
            found = self.stage.slack.wait_for(lambda: self._unless_stopped(predicate), PATIENCE_SECONDS)
        except TimeoutError as error:
            self.look()
            raise StoryFailed(f"waited {PATIENCE_SECONDS:.0f} s for {what}") from error
        assert found is not None
        return found

    def check(self, truth: object, otherwise: str) -> None:
        """Fail the story unless this is true."""
        if not truth:
            self.look()
            raise StoryFailed(otherwise)

    def _unless_stopped(self, predicate: Callable[[], T]) -> T:
        if self.log.stopped:
            raise StoryFailed("it was stopped by hand")
        return predicate()

    # machines, and what befalls them

    def machine(self, name: str) -> Machine:
        return self.stage.cloud.vm(name)

    def watch(self, vm: str, what: str) -> Watched:
        """Begin to count something that this machine does."""
        return Watched(self.machine(vm), what)

    def compare(self, watched: Watched, *, expected: int) -> None:
        """Show what the machine did before and after, and fail unless that is what was expected."""
        after = watched.count()
        self.log.compared(f"{watched.what} on {watched.vm.name}", watched.before, after, expected=expected)
        more = after - watched.before
        self.check(more == expected, f"{watched.what!r} happened {more} times on {watched.vm.name}, not {expected}")

    def happens(self, watched: Watched, times: int = 1) -> None:
        """Wait until the machine has done it so often."""
        try:
            self.stage.cloud.wait_for(
                lambda: self._unless_stopped(lambda: watched.count() - watched.before >= times), PATIENCE_SECONDS
            )
        except TimeoutError as error:
            raise StoryFailed(f"waited {PATIENCE_SECONDS:.0f} s for {watched.what!r} on {watched.vm.name}") from error

    def azure_breaks(self, fault: Fault) -> Fault:
        """Arm a fault of Azure until the story ends."""
        self.afterwards.callback(self.azure_mends, fault)
        return self.stage.cloud.faults.add(fault)

    def azure_mends(self, fault: Fault) -> None:
        fault.times = fault.used

    def slack_breaks(self, kind: FaultKind, *places: str, times: int | None) -> None:
        """Switch a fault of Slack on until the story ends."""
        self.afterwards.callback(self.slack_mends, kind)
        for place in places:
            self.stage.slack.faults.switch_on(kind, on=place, times=times)

    def slack_mends(self, kind: FaultKind) -> None:
        self.stage.slack.faults.clear(kind)
        self.stage.slack.world.touch()

    def stops(self, vm: Machine) -> None:
        """Switch a machine off, behind the bot's back."""
        self.afterwards.callback(self.starts, vm)
        vm.stop()

    def starts(self, vm: Machine) -> None:
        """Switch a machine on and wait until its agent has been heard of."""
        if vm.power_state != "running":
            before = vm.heartbeat
            vm.start()
            self.stage.cloud.wait_for(lambda: vm.heartbeat != before)

    def kills_bot(self) -> None:
        """End the bot's process as a power cut would."""
        self.afterwards.callback(self.starts_bot)
        self.stage.bot.kill()

    def starts_bot(self) -> None:
        if not self.stage.bot.running:
            self.stage.start_bot()

    def click_at_once(self, message: Message, label: str, *names: str) -> list[ActionResult]:
        """Let people, or one person twice, click at the same instant; each click is answered in time."""
        self.log.typed(" and ".join(names), f"click [{label}] at the same instant")
        people = [partial(self.person(name).clicks, message, label) for name in names]
        results = self.stage.slack.at_once(*people)
        for result in results:
            self.check(result.acked, f"a click on {label!r} was not acknowledged: {result.error}")
        return results

    def told_once(self) -> None:
        """Fail when the thread says anything twice."""
        told = [f"{message.text}\n{message.plain()}" for message in self.thread()]
        twice = next((text for text in told if told.count(text) > 1), "")
        self.check(not twice, f"the thread says twice: {twice}")
