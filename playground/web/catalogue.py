"""The faults that can be switched on, each with what it does and what a good bot makes of it.

Only words and recipes: what is on now is known by the workspace and by the cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
    """`template` is copied and armed; `seconds` says what the number means, empty when it means nothing."""

    title: str
    about: str
    template: Fault
    seconds: str = ""

    def armed(self, times: int, seconds: float) -> Fault:
        """A fault that strikes so often."""
        if self.template.kind == "answer" and self.seconds:
            return replace(self.template, times=times, retry_after=int(seconds))
        return replace(self.template, times=times, seconds=seconds if self.seconds else 0.0)


AZURE_FAULTS: Mapping[str, AzureFault] = {
    "lost_answer": AzureFault(
        title="Accepted, answer lost",
        about="Azure starts the command, the connection breaks before the answer. It must not run twice.",
        template=Fault(kind="reset", method="PUT", path_contains=RUN_COMMANDS, after_work=True),
    ),
    "reset": AzureFault(
        title="Connection reset",
        about="The connection breaks before Azure did anything.",
        template=Fault(kind="reset", method="PUT", path_contains=RUN_COMMANDS),
    ),
    "invisible": AzureFault(
        title="Accepted, not yet visible",
        about="The command runs, but reads say 404 for a while. The bot must not take that for 'never started'.",
        template=Fault(kind="invisible", method="PUT", path_contains=RUN_COMMANDS),
        seconds="seconds of the cloud's time",
    ),
    "throttled": AzureFault(
        title="429 with Retry-After",
        about="The subscription is throttled.",
        template=Fault(
            kind="answer", status=429, code="TooManyRequests", message="The subscription is throttled.", method="GET"
        ),
        seconds="Retry-After, in seconds",
    ),
    "throttled_silent": AzureFault(
        title="429 without Retry-After",
        about="The subscription is throttled, and nobody says for how long.",
        template=Fault(
            kind="answer", status=429, code="TooManyRequests", message="The subscription is throttled.", method="GET"
        ),
    ),
    "unavailable": AzureFault(
        title="503 when starting a command",
        about="The service is unavailable; whether the command was started has to be found out.",
        template=Fault(
            kind="answer", status=503, code="ServiceUnavailable", message="The service is unavailable.", method="PUT"
        ),
    ),
    "conflict": AzureFault(
        title="409 when starting a command",
        about="Somebody else changes the machine at the same time.",
        template=Fault(
            kind="answer", status=409, code="Conflict", message="The request conflicts with another.", method="PUT"
        ),
    ),
    "read_fails": AzureFault(
        title="500 when reading the result",
        about="The command runs on; its result is read later.",
        template=Fault(kind="answer", method="GET", path_contains=RUN_COMMANDS),
    ),
    "slow": AzureFault(
        title="Slow answer",
        about="Azure answers late.",
        template=Fault(kind="slow", path_contains=RUN_COMMANDS, after_work=True),
        seconds="delay, in seconds",
    ),
    "garbage": AzureFault(
        title="An answer that is no JSON",
        about="Something between Azure and the bot answers instead.",
        template=Fault(kind="garbage", method="GET", path_contains=RUN_COMMANDS),
    ),
    "half": AzureFault(
        title="Half an answer",
        about="The connection breaks in the middle of the answer.",
        template=Fault(kind="half", method="GET", path_contains=RUN_COMMANDS),
    ),
    "no_token": AzureFault(
        title="The managed identity fails",
        about="No token is handed out; one that is still valid goes on working.",
        template=Fault(kind="answer", where="identity"),
    ),
}
