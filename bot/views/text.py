"""Words, times and sizes as people read them in Slack, and the limits of what Slack takes.

Text that somebody else wrote (names, commands, output, reasons) goes through ``escape`` before it meets
Slack's markup, or into a literal element. Nothing here may ever let it form a mention, a link or a code fence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from engine.model import Actor, Person, SessionStatus, StepStatus, Target
from engine.plaintext import is_invisible

# Slack's limits (docs.slack.dev, Block Kit and chat.update), read in 2026; lengths in characters
HEADER_MAX = 150
LITERAL_MAX = 3000  #: one preformatted block; Slack publishes none, so the limit of its text objects
NOTIFICATION_MAX = 3000  #: our top-level text; Slack refuses an update above 4000
MODAL_TITLE_MAX = 24
OPTION_TEXT_MAX = 75
OPTION_VALUE_MAX = 150
OPTIONS_MAX = 100
LABEL_MAX = 2000
INPUT_MAX = 3000
HOME_BLOCKS_MAX = 100

NAME_MAX = 120  #: longest name that a message repeats whole
LINE_MAX = 300  #: longest sentence of a person that a message repeats whole

WORDS = re.compile(r"\b([UW][A-Z0-9]+)\b", re.ASCII)  #: splits a sentence into ids of people and the rest
_FENCE = str.maketrans({"`": "'"})
_MARKUP = re.compile(r"[&<>]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_PREPARATION = re.compile(  # the lines that engine.parameters writes for values; shell options; comments
    r"""[a-z][a-z0-9_]*="\$\(printf %s '[A-Za-z0-9+/=]*' \| base64 -d\)" \|\| exit 96"""
    r"""|\$[a-z][a-z0-9_]* = \[Text\.Encoding\]::UTF8\.GetString"""
    r"""\(\[Convert\]::FromBase64String\('[A-Za-z0-9+/=]*'\)\)"""
    r"""|set [-+][a-z]+( pipefail)?|\s*\#.*""",
    re.ASCII,
)
_SLACK_USER = re.compile(r"[UW][A-Z0-9]{1,20}", re.ASCII)

_BROKEN_LINE = re.compile(r"(?<=\S)[ \t]*\n[ \t]*(?=[^\s*+\-0-9#>|])")
UTC_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} UTC)", re.ASCII
)  #: as a sentence says it

STEP_WORDS = {
    StepStatus.PENDING: ("○", "to do"),
    StepStatus.WAITING_APPROVAL: ("◔", "waits for approval"),
    StepStatus.APPROVED: ("◔", "approved"),
    StepStatus.QUEUED: ("◔", "waits for its turn"),
    StepStatus.RUNNING: ("◐", "running"),
    StepStatus.SUCCEEDED: ("✓", "done"),
    StepStatus.FAILED: ("✗", "failed"),
    StepStatus.TIMED_OUT: ("✗", "timed out"),
    StepStatus.UNKNOWN: ("?", "outcome unknown"),
    StepStatus.SKIPPED: ("»", "skipped"),
    StepStatus.REJECTED: ("✗", "rejected"),
    StepStatus.EXPIRED: ("✗", "expired"),
    StepStatus.CANCELLED: ("✗", "cancelled"),
}

SESSION_WORDS = {
    SessionStatus.PENDING: "About to start",
    SessionStatus.IN_PROGRESS: "In progress",
    SessionStatus.WAITING_APPROVAL: "Waiting for approval",
    SessionStatus.PAUSED: "Paused",
    SessionStatus.NEEDS_ATTENTION: "Needs a person's choice",
    SessionStatus.COMPLETED: "Completed",
    SessionStatus.COMPLETED_UNVERIFIED: "Completed, but not verified",
    SessionStatus.FAILED: "Failed",
    SessionStatus.REJECTED: "Rejected",
    SessionStatus.EXPIRED: "Expired",
    SessionStatus.CANCELLED: "Cancelled",
}


def visible(text: str) -> str:
    """Write every character that nobody can see, except newline and tab, as its code point."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{{{ord(c):x}}}" if c not in "\n\t" and is_invisible(c) else c for c in text)


def one_line(text: str, most: int = NAME_MAX) -> str:
    """Return text as one visible line of at most so many characters; never empty."""
    return shorten(" ".join(visible(text).split()), most) or "(empty)"


def shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def escape(text: str) -> str:
    """Make text harmless in Slack's markup: no mention, no link, no code fence."""
    return _MARKUP.sub(lambda found: _ENTITIES[found.group()], text.translate(_FENCE))


def fence(text: str) -> str:
    """Show lines of somebody else's text as they are, in a code fence that they cannot leave."""
    inside = _MARKUP.sub(lambda found: _ENTITIES[found.group()], visible(text).replace("```", "'''"))
    return f"```\n{inside}\n```"


def quote(text: str, most: int = NAME_MAX) -> str:
    """Return somebody else's text as one short, harmless line for a notification."""
    return escape(one_line(text, most))


def first_line(script: str, most: int = 160) -> str:
    """Return the first line of a command that does something, and which line of how many it is.

    What only prepares (values handed in, shell options, comments) says nothing about the step.
    """
    lines = script.removesuffix("\n").split("\n")
    telling = (number for number, line in enumerate(lines) if line.strip() and not _PREPARATION.fullmatch(line))
    number = next(telling, 0)
    which = f" (line {number + 1} of {len(lines)})" if len(lines) > 1 else ""
    return quote(lines[number], most) + which


def notification(*sentences: str) -> str:
    """Join sentences that are already harmless into the text that screen readers and phones present."""
    return shorten(" ".join(sentence for sentence in sentences if sentence), NOTIFICATION_MAX) or "…"


def is_slack_user(person: Person | None) -> bool:
    return person is not None and _SLACK_USER.fullmatch(person.user) is not None


def mention(person: Person) -> str:
    """Return Slack's mention of a person, or their id as text when it cannot be one."""
    return f"<@{person.user}>" if is_slack_user(person) else quote(person.user, 40)


def mentions(people: Iterable[Person], most: int = 10) -> str:
    """Return mentions of some people, sorted, and how many more there are."""
    ordered = sorted(people, key=str)
    more = [f"{len(ordered) - most} more"] if len(ordered) > most else []
    return ", ".join([*(mention(person) for person in ordered[:most]), *more]) or "nobody"


def told(sentence: str, people: Iterable[Person], most: int = 1000) -> str:
    """Return a sentence of ours in harmless form, with the ids of the people it is about as mentions."""
    known = {person.user: mention(person) for person in people if is_slack_user(person)}
    return "".join(known.get(word, word) for word in WORDS.split(quote(sentence, most)))


def actor(someone: Actor) -> str:
    """Return who did something, as a mention when Slack knows them."""
    if someone.person is not None:
        return mention(someone.person)
    return quote(someone.name or "Runbook Bot", 60)


def moment(at: datetime | None) -> str:
    """Return a time in the reader's own time zone, with UTC where Slack cannot tell."""
    if at is None:
        return "an unknown time"
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{clock(at)}>"


def clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def flowing(text: str) -> str:
    """Let lines that were only broken to fit an editor run on; paragraphs and lists stay as they are."""
    return _BROKEN_LINE.sub(" ", text)


def duration(seconds: float | None) -> str:
    """Return a duration such as ``0.4 s``, ``2 min 5 s`` or ``3 h 10 min``."""
    if seconds is None:
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")


def size(count: int) -> str:
    """Return a number of bytes such as ``512 bytes`` or ``2.5 kB``."""
    if count < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def place(target: Target) -> str:
    """Name a machine with its resource group, as plain text."""
    group = f" (resource group {one_line(target.group)})" if target.group else ""
    return one_line(target.name) + group


def short_digest(digest: str) -> str:
    return one_line(digest[:12], 12)
