"""The faults that can be switched on, each with what it does and what a good bot makes of it.

Only words and recipes: what is on now is known by the workspace and by the cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from playground.azure.faults import Fault
from playground.slack.faults import FaultKind

METHODS = ("*", "chat.postMessage", "chat.update", "chat.postEphemeral", "views.open", "views.publish", "users.info")
DELIVERIES = ("*", "interactive", "slash_commands", "events_api")
RUN_COMMANDS = "/runCommands/"


@dataclass(frozen=True, kw_only=True)
class SlackFault:
    """`seconds` says what the number means for this fault; empty when it means nothing."""

    title: str
    about: str
    places: tuple[str, ...] = METHODS
    seconds: str = ""


SLACK_FAULTS: Mapping[FaultKind, SlackFault] = {
    FaultKind.RATE_LIMITED: SlackFault(
        title="429 with Retry-After",
        about="Slack asks for a pause. The bot must wait that long and then send once.",
        seconds="Retry-After, in seconds",
    ),
    FaultKind.RATE_LIMITED_EMPTY: SlackFault(
        title="429 with an empty body",
        about="The same, with nothing but a status and a header to read.",
        seconds="Retry-After, in seconds",
    ),
    FaultKind.SERVER_ERROR: SlackFault(
        title="500", about="Slack fails. The bot must find out whether the message is there before it sends again."
    ),
    FaultKind.DROP_AFTER_WORK: SlackFault(
        title="Accepted, answer lost",
        about="The message is posted, the connection breaks before the answer. A careless client posts it twice.",
    ),
    FaultKind.RESET_BEFORE_WORK: SlackFault(
        title="Connection reset", about="The connection breaks before anything was done. The bot must send again."
    ),
    FaultKind.SLOW_REPLY: SlackFault(
        title="Slow answer", about="Slack answers late. Clicks must still be acknowledged in time.", seconds="delay"
    ),
    FaultKind.TOKEN_REVOKED: SlackFault(
        title="Token refused", about="Calls answer token_revoked. Nothing may run unseen."
    ),
    FaultKind.SILENT_SOCKET: SlackFault(
        title="Silent socket",
        about="The socket stays open and carries nothing. People see that the app did not respond.",
        places=DELIVERIES,
    ),
    FaultKind.DUPLICATE_SAME_ENVELOPE: SlackFault(
        title="Delivered twice, same envelope", about="One click must count once.", places=DELIVERIES
    ),
    FaultKind.DUPLICATE_NEW_ENVELOPE: SlackFault(
        title="Delivered twice, new envelope", about="One click must still count once.", places=DELIVERIES
    ),
    FaultKind.OUT_OF_ORDER: SlackFault(
        title="Out of order",
        about="The next delivery is held until a later one has arrived: use two people, one after the other.",
        places=DELIVERIES,
    ),
    FaultKind.BAD_SIGNATURE: SlackFault(
        title="Bad signature", about="HTTP mode only: a forged request. The bot must refuse it.", places=DELIVERIES
    ),
    FaultKind.STALE_TIMESTAMP: SlackFault(
        title="Old timestamp", about="HTTP mode only: a replayed request. The bot must refuse it.", places=DELIVERIES
    ),
}


@dataclass(frozen=True, kw_only=True)
class AzureFault:
    """`make` builds the fault from how often it strikes and for how many seconds."""

    title: str
    about: str
    make: Callable[[int, float], Fault]
    seconds: str = ""


def _put(kind: str, *, after_work: bool = False) -> Callable[[int, float], Fault]:
    def make(times: int, seconds: float) -> Fault:
        return Fault.of(kind, times, seconds, after_work)

    return make
