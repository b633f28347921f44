"""Stories of bad days: Azure, Slack, a machine or the bot itself fails in the middle of a session.

Each breaks one thing at a known moment and shows that every command still runs once and is told once. What a story
breaks it breaks from outside; it must never reach into the bot.
"""

from __future__ import annotations

from playground.azure.faults import Fault
from playground.scene import APPROVE, Scene
from playground.slack.faults import FaultKind

COMMANDS = "/runCommands/rb-"
MESSAGES = ("chat.postMessage", "chat.update", "chat.postEphemeral")


def lost_answer(scene: Scene) -> None:
    """Azure starts the command; the connection breaks before it can say so."""
    restarts = scene.watch("web-01", "restart nginx")
    scene.narrate("1/4  Alice asks for the web service of web-01 to be restarted. Bob approves the first step.")
    scene.executes("alice", "/runbook execute restart-web vm=web-01 ticket=INC-3001")
    scene.clicks("bob", scene.gate(), APPROVE)
    second = scene.gate()
    scene.narrate("2/4  From now on the connection to Azure breaks right after the next command has been accepted.")
    lost = scene.azure_breaks(Fault(kind="reset", method="PUT", path_contains=COMMANDS, after_work=True))
    scene.clicks("carol", second, APPROVE)
    scene.happens(restarts)
    scene.check(lost.used == 1, "no answer of Azure was lost")
    scene.narrate("3/4  The restart has happened, but the bot was never told so. It looks for the command by its name.")
    scene.wait_for_words("is over", "completed")
    scene.narrate("4/4  Found, not sent again:")
    scene.compare(restarts, expected=1)
    scene.told_once()


def slack_outage(scene: Scene) -> None:
    """Slack takes no messages while an approved command runs."""
    reloads, restarts = scene.watch("web-01", "reload nginx"), scene.watch("web-01", "restart nginx")
    scene.narrate("1/4  Alice asks for the web service of web-01 to be restarted.")
    scene.executes("alice", "/runbook execute restart-web vm=web-01 ticket=INC-3002")
    first = scene.gate()
    scene.narrate("2/4  Slack begins to answer 500 to every message. Bob's click still arrives.")
    scene.slack_breaks(FaultKind.SERVER_ERROR, *MESSAGES, times=None)
    scene.clicks("bob", first, APPROVE)
    scene.happens(reloads)
    scene.check(restarts.count() == restarts.before, "a step ran that nobody could see or approve")
    scene.narrate(
        "3/4  The approved step has run. The next one waits, since its request cannot be shown. Slack is back."
    )
    scene.slack_mends(FaultKind.SERVER_ERROR)
    scene.clicks("carol", scene.gate(), APPROVE)
    scene.wait_for_words("is over", "completed")
    scene.narrate("4/4  Every message has come, none twice, and each command ran once:")
    scene.compare(reloads, expected=1)
    scene.compare(restarts, expected=1)
    scene.told_once()


def vm_stopped(scene: Scene) -> None:
    """The machine is switched off between the request and the approval."""
    vm = scene.machine("rg-prod/web-02")
    scene.starts(vm)
    reloads, restarts = scene.watch(vm.id, "reload nginx"), scene.watch(vm.id, "restart nginx")
    scene.narrate("1/5  Alice asks for the web service of rg-prod/web-02 to be restarted.")
    scene.executes("alice", "/runbook execute restart-web vm=rg-prod/web-02 ticket=INC-3003")
    first = scene.gate()
    scene.narrate("2/5  Somebody switches the machine off. Then Bob approves.")
    scene.stops(vm)
    scene.clicks("bob", first, APPROVE)
    trouble = scene.offers("Retry")
    scene.look()
    scene.check("stopped" in trouble.plain(), "the message does not say that the machine is stopped")
    scene.compare(reloads, expected=0)
    scene.narrate("3/5  The machine is switched on again, and Bob asks for another try.")
    scene.starts(vm)
    scene.clicks("bob", trouble, "Retry")
    scene.gives_reason("bob", "It is started again.")
    scene.narrate("4/5  That is a new attempt, so it needs a new approval; then the next step asks as usual.")
    scene.clicks("carol", scene.gate(), APPROVE)
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.wait_for_words("is over", "completed")
    scene.narrate("5/5  Each command ran once, on a machine that runs:")
    scene.compare(reloads, expected=1)
    scene.compare(restarts, expected=1)


def crash(scene: Scene) -> None:
    """The bot's process dies after the command has run and before anybody heard of it."""
    restarts = scene.watch("web-01", "restart nginx")
    scene.narrate("1/5  Alice asks for the web service of web-01 to be restarted. Bob approves the first step.")
    scene.executes("alice", "/runbook execute restart-web vm=web-01 ticket=INC-3004")
    scene.clicks("bob", scene.gate(), APPROVE)
    second = scene.gate()
    scene.narrate("2/5  Azure will not tell results for a moment. Carol approves, and the command runs.")
    silence = scene.azure_breaks(Fault(kind="answer", status=503, method="GET", path_contains=COMMANDS, times=None))
    scene.clicks("carol", second, APPROVE)
    scene.happens(restarts)
    scene.narrate("3/5  The bot is killed, as by a power cut. Whoever asks it something now reads Slack's own error.")
    scene.kills_bot()
    scene.azure_mends(silence)
    answer = scene.person("alice").types("/runbook status", channel=scene.channel)
    scene.check(not answer.acked, "a dead bot has answered")
    scene.log.whisper("alice", answer.error)
    scene.narrate("4/5  The bot is started again. It finds the session, and the command by its name.")
    scene.starts_bot()
    scene.wait_for_words("is over", "completed")
    scene.narrate("5/5  It was dead in between, and yet:")
    scene.compare(restarts, expected=1)
    scene.told_once()
