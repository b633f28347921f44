"""What can be typed after ``/runbook``: one frozen request per verb, and how each is written.

The page ``docs/slack-commands.md`` and the answer to ``help`` are held to this. Nothing here may read text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Help:
    """Show what can be typed."""


@dataclass(frozen=True, kw_only=True)
class ListRunbooks:
    """Show all runbooks."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Show one runbook: its parameters and steps."""

    runbook: str


@dataclass(frozen=True, kw_only=True)
class PlanIt:
    """Show what would run, and run nothing."""

    runbook: str
    vm: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Execute:
    """Start a session; without a runbook, ask for everything in a dialog."""

    runbook: str = ""
    vm: str = ""
    ticket: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Status:
    """Show one session, or those that are not over."""

    session: int | None = None


@dataclass(frozen=True, kw_only=True)
class Why:
    """Say what a session waits for."""

    session: int


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Show what waits for an approval."""


@dataclass(frozen=True, kw_only=True)
class History:
    """Show the newest sessions, of one ticket if it is named."""

    ticket: str = ""


@dataclass(frozen=True, kw_only=True)
class Cancel:
    session: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Pause:
    session: int


@dataclass(frozen=True, kw_only=True)
class Resume:
    session: int


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check rights and reachability, of one machine if it is named."""

    vm: str = ""


Request = (
    Help | ListRunbooks | Show | PlanIt | Execute | Status | Why | Pending | History | Cancel | Pause | Resume | Doctor
)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How a verb is written, what it does, and one example."""

    pattern: str
    purpose: str
    example: str


USAGES: Mapping[str, Usage] = {
    "help": Usage(pattern="help", purpose="Show this list.", example="help"),
    "list": Usage(pattern="list", purpose="Show all runbooks.", example="list"),
    "show": Usage(pattern="show NAME", purpose="Show a runbook's parameters and steps.", example="show restart-web"),
    "plan": Usage(
        pattern="plan NAME key=value… [vm=…]",
        purpose="Show exactly what would run, and run nothing.",
        example="plan restart-web vm=web-01",
    ),
    "execute": Usage(
        pattern="execute NAME key=value… [vm=…] [ticket=…]",
        purpose="Start a session; without a name, a dialog asks for everything.",
        example="execute restart-web vm=web-01 ticket=INC-42",
    ),
    "status": Usage(pattern="status [ID]", purpose="Show one session, or all that are not over.", example="status 12"),
    "why": Usage(pattern="why ID", purpose="Say what a session waits for, and for whom.", example="why 12"),
    "pending": Usage(pattern="pending", purpose="Show what waits for an approval.", example="pending"),
    "history": Usage(
        pattern="history [ticket=…]",
        purpose="Show the newest sessions, of one ticket if it is named.",
        example="history ticket=INC-42",
    ),
    "cancel": Usage(pattern="cancel ID [reason…]", purpose="Call a session off.", example="cancel 12 wrong machine"),
    "pause": Usage(pattern="pause ID", purpose="Keep the next step from starting.", example="pause 12"),
    "resume": Usage(pattern="resume ID", purpose="Let a paused session go on.", example="resume 12"),
    "doctor": Usage(
        pattern="doctor [VM]",
        purpose="Check the bot's rights and reach, for one machine if it is named.",
        example="doctor web-01",
    ),
}
