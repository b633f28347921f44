"""What a person sees after doing something: the driver's answers.

Plain values, safe to keep. They must never be read as what the bot meant: only as what Slack showed.
"""

from dataclasses import dataclass, field

from playground.slack.blocks import Json
from playground.slack.model import Message, View


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Was it acknowledged, how fast, and which error did the person see (empty when none)."""

    acked: bool
    timed_out: bool = False
    latency_ms: float = 0.0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class CommandResult(Outcome):
    """After a slash command; `message` is what came with the acknowledgement, usually ephemeral."""

    message: Message | None = None

    @property
    def text(self) -> str:
        return self.message.text if self.message else self.error

    @property
    def blocks(self) -> list[Json]:
        return self.message.blocks if self.message else []


@dataclass(frozen=True, kw_only=True)
class ActionResult(Outcome):
    """After a click or a shortcut; `cancelled` when the person said no in the confirm dialog."""

    cancelled: bool = False

    @property
    def warning(self) -> bool:
        """The warning triangle that Slack shows beside an element that got no acknowledgement."""
        return not (self.acked or self.cancelled)


@dataclass(frozen=True, kw_only=True)
class SubmitResult(Outcome):
    """After submitting a modal; errors are keyed by block_id, `sent` is False when Slack itself refused."""

    sent: bool = True
    errors: dict[str, str] = field(default_factory=dict)
    update: View | None = None
    pushed: View | None = None
    closed: bool = False


class Refused(Exception):
    """The person cannot do that in Slack: the element, the modal or the channel is not there for them."""
