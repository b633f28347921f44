"""Stories that can be played and checked: people, clicks, and what must be true afterwards.

A story talks to the stage only as people and auditors would: through Slack, the machines' ledgers and the
database. It must never look inside the bot, and it fails as soon as anything differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console

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


class Scene:
    """One thread, seen by several people."""

    def __init__(self, stage: Stage, console: Console, *, channel: str = "ops") -> None:
        self.stage = stage
        self.channel = channel
        self.log = Transcript(stage.slack, console)
        self.root_ts = ""
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
            found = self.stage.slack.wait_for(predicate, PATIENCE_SECONDS)
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


@dataclass(frozen=True, kw_only=True)
class Story:
    """Something to watch, and what to look for."""

    name: str
    title: str
    watch: str
    play: Callable[[Scene], None]


def restart_web(scene: Scene) -> None:
    """Alice asks, Bob approves twice, the service restarts once, everybody sees it."""
    vm = scene.stage.cloud.vm("web-01")
    scene.narrate("1/5  Alice asks for the web service of web-01 to be restarted.")
    scene.executes("alice", "/runbook execute restart-web vm=web-01 ticket=INC-1042")
    first = scene.gate()
    scene.check("systemctl reload" in first.plain(), "the request does not show the command")
    scene.check(not vm.effects(), "something ran before anybody approved")
    scene.narrate("2/5  Alice may not approve her own request.")
    scene.clicks("alice", first, APPROVE)
    told = scene.wait_for(lambda: scene.person("alice").ephemerals(scene.channel)[-1:] or None, "a reason for Alice")
    scene.log.whisper("alice", told[0].text)
    scene.narrate("3/5  Bob has read the command and approves.")
    scene.clicks("bob", first, APPROVE)
    second = scene.gate()
    scene.check("systemctl restart" in second.plain(), "the second request does not show the restart")
    scene.narrate("4/5  The next step asks again, and Carol approves.")
    scene.clicks("carol", second, APPROVE)
    scene.wait_for_words("completed")
    scene.narrate("5/5  Done. What the machine says happened:")
    restarts = [line for line in vm.effects() if "restart" in line]
    scene.log.typed("web-01", "; ".join(vm.effects()))
    scene.check(len(restarts) == 1, f"the service was restarted {len(restarts)} times, not once")


def rejection(scene: Scene) -> None:
    """Bob says no, with a reason; nothing of the step runs."""
    vm = scene.stage.cloud.vm("web-02")
    scene.narrate("1/2  Alice asks for a restart on web-02 of rg-prod.")
    scene.executes("alice", "/runbook execute restart-web vm=rg-prod/web-02")
    gate = scene.gate()
    scene.narrate("2/2  Bob rejects it and says why.")
    scene.clicks("bob", gate, REJECT)
    scene.gives_reason("bob", "Not during the launch.")
    scene.wait_for_words("rejected", "Not during the launch.")
    scene.check(not [e for e in vm.effects() if "restart" in e], "the service was restarted in spite of the rejection")


STORIES: Mapping[str, Story] = {
    story.name: story
    for story in (
        Story(
            name="restart-web",
            title="Restart a web service, with two approvals",
            watch="the requester cannot approve; each step asks anew; the restart happens once",
            play=restart_web,
        ),
        Story(
            name="rejection",
            title="A rejected request",
            watch="the reason is asked for and shown; nothing runs",
            play=rejection,
        ),
    )
}


def play(stage: Stage, name: str, console: Console) -> int:
    """Play one story; 0 when everything went as told."""
    story = STORIES.get(name)
    if story is None:
        console.print(f"There is no story {name!r}; there are: {', '.join(STORIES)}", markup=False)
        return 2
    console.rule(f"{story.title} (simulated Slack and Azure)")
    console.print(f"Watch: {story.watch}.", markup=False)
    scene = Scene(stage, console)
    try:
        story.play(scene)
    except (StoryFailed, LookupError) as failure:
        console.print(f"\nThe story went differently: {failure}", style="bold red", markup=False)
        console.print("\n".join(stage.bot.log_lines()[-15:]), style="dim", markup=False)
        return 1
    scene.look()
    console.print("\nThe story went as told.", style="bold green")
    return 0
