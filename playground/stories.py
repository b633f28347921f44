"""Stories that can be played and checked: people, clicks, and what must be true afterwards.

A story talks to the stage only as people, operators and auditors would, and it fails as soon as anything differs.
The same stories are played in the terminal, on the page and by the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console

from playground import bad_days
from playground.scene import APPROVE, PATIENCE_SECONDS, REJECT, Scene, StoryFailed
from playground.stage import Stage

__all__ = ["APPROVE", "PATIENCE_SECONDS", "REJECT", "STORIES", "Scene", "Story", "StoryFailed", "play"]


@dataclass(frozen=True, kw_only=True)
class Story:
    """Something to watch, and what to look for."""

    name: str
    title: str
    watch: str
    play: Callable[[Scene], None]

    def tell(self, scene: Scene) -> None:
        """Play it; whatever it broke is mended afterwards, also when it fails or is stopped."""
        with scene.afterwards:
            self.play(scene)


def restart_web(scene: Scene) -> None:
    """Alice asks, Bob and Carol approve, the service restarts once, everybody sees it."""
    restarts = scene.watch("web-01", "restart nginx")
    reloads = scene.watch("web-01", "reload nginx")
    scene.narrate("1/5  Alice asks for the web service of web-01 to be restarted.")
    scene.executes("alice", "/runbook execute restart-web vm=web-01 ticket=INC-1042")
    first = scene.gate()
    scene.check("systemctl reload" in first.plain(), "the request does not show the command")
    scene.check(reloads.count() == reloads.before, "something ran before anybody approved")
    scene.narrate("2/5  Alice may not approve her own request.")
    scene.clicks("alice", first, APPROVE)
    scene.told("alice", "somebody else must decide it")
    scene.narrate("3/5  Bob has read the command and approves.")
    scene.clicks("bob", first, APPROVE)
    second = scene.gate()
    scene.check("systemctl restart" in second.plain(), "the second request does not show the restart")
    scene.narrate("4/5  The next step asks again, and Carol approves.")
    scene.clicks("carol", second, APPROVE)
    scene.wait_for_words("is over", "completed")
    scene.narrate("5/5  Done. What the machine says happened:")
    scene.compare(reloads, expected=1)
    scene.compare(restarts, expected=1)


def rejection(scene: Scene) -> None:
    """Bob says no, with a reason; nothing of the step runs."""
    changes = scene.watch("rg-prod/web-02", "systemctl")
    scene.narrate("1/3  Alice asks for a restart on web-02 of rg-prod.")
    scene.executes("alice", "/runbook execute restart-web vm=rg-prod/web-02")
    gate = scene.gate()
    scene.narrate("2/3  Bob rejects it and says why.")
    scene.clicks("bob", gate, REJECT)
    scene.gives_reason("bob", "Not during the launch.")
    scene.wait_for_words("rejected", "Not during the launch.")
    scene.narrate("3/3  Nothing has been changed:")
    scene.compare(changes, expected=0)


def two_approvers(scene: Scene) -> None:
    """A high risk needs two people; one of them twice is not two."""
    vm = scene.machine("db-01")
    vm.set_connections_used(91)
    ended = scene.watch("db-01", "psql ended")
    scene.narrate("1/5  The database refuses connections. Alice asks for the idle ones to be ended: a high risk.")
    scene.executes("alice", "/runbook execute database-connections vm=db-01 database=orders ticket=INC-2077")
    gate = scene.gate()
    scene.narrate("2/5  Bob approves the listing. That is one of two, so nothing runs yet.")
    scene.clicks("bob", gate, APPROVE)
    scene.wait_for(lambda: "1 of 2 approved" in scene.now(gate).plain(), "1 of 2 in the request")
    scene.narrate("3/5  Bob approves again, and is told that another person is needed.")
    scene.clicks("bob", gate, APPROVE)
    scene.told("bob", "already approved")
    scene.check(gate.ts in [m.ts for m in scene.thread() if APPROVE in m.buttons()], "one person counted twice")
    scene.narrate("4/5  Carol is the second, and reads the list. Now the deletion asks for two people of its own.")
    scene.clicks("carol", gate, APPROVE)
    second = scene.gate()
    scene.check(ended.count() == ended.before, "the sessions were ended without an approval")
    scene.narrate("5/5  Bob and Carol approve it at the same instant. It runs, once:")
    scene.click_at_once(second, APPROVE, "bob", "carol")
    scene.wait_for_words("is over", "completed")
    scene.compare(ended, expected=1)


def double_click(scene: Scene) -> None:
    """Clicks that arrive twice, for any reason, count once."""
    reloads, restarts = scene.watch("web-01", "reload nginx"), scene.watch("web-01", "restart nginx")
    scene.narrate("1/4  Alice asks for the web service of web-01 to be restarted.")
    scene.executes("alice", "/runbook execute restart-web vm=web-01")
    gate = scene.gate()
    scene.narrate("2/4  Bob's mouse clicks twice at the same instant.")
    scene.click_at_once(gate, APPROVE, "bob", "bob")
    second = scene.gate()
    scene.narrate("3/4  Bob and Carol approve the next step at the same instant; one of them reads who was first.")
    scene.click_at_once(second, APPROVE, "bob", "carol")
    scene.wait_for(
        lambda: [m for who in ("bob", "carol") for m in scene.person(who).ephemerals(scene.channel) if late(m.text)],
        "who was first",
    )
    scene.wait_for_words("is over", "completed")
    scene.narrate("4/4  Four clicks, two approvals, each command once:")
    scene.compare(reloads, expected=1)
    scene.compare(restarts, expected=1)
    scene.told_once()


def late(text: str) -> bool:
    """Whether this tells somebody that another person was faster."""
    return "already" in text.lower()


_TOLD = (
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
    Story(
        name="two-approvers",
        title="A high risk needs two people",
        watch="the request counts 1 of 2; the same person cannot be both; the command runs after the second, once",
        play=two_approvers,
    ),
    Story(
        name="double-click",
        title="Clicks that come twice",
        watch="a double click and two people at the same instant; each step is approved once and runs once",
        play=double_click,
    ),
    Story(
        name="lost-answer",
        title="Azure's answer is lost",
        watch="the command was started but nobody was told; the bot finds it by its name and does not send it again",
        play=bad_days.lost_answer,
    ),
    Story(
        name="slack-outage",
        title="Slack takes no messages for a while",
        watch="what was approved runs; nothing new can be approved unseen; afterwards every message comes, once",
        play=bad_days.slack_outage,
    ),
    Story(
        name="vm-stopped",
        title="The machine is switched off after the approval",
        watch="nothing is sent to it; a person is asked; trying again needs a new approval",
        play=bad_days.vm_stopped,
    ),
    Story(
        name="crash",
        title="The bot is killed while a command runs",
        watch="the command goes on without it; after the start the bot finds it again; the restart happens once",
        play=bad_days.crash,
    ),
)
STORIES: Mapping[str, Story] = {story.name: story for story in _TOLD}


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
        story.tell(scene)
    except (StoryFailed, LookupError, TimeoutError) as failure:
        console.print(f"\nThe story went differently: {failure}", style="bold red", markup=False)
        console.print("\n".join(stage.bot.log_lines()[-15:]), style="dim", markup=False)
        return 1
    scene.look()
    console.print("\nThe story went as told.", style="bold green")
    return 0
