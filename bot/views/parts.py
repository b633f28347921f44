"""Building blocks of our messages: literal text, facts, buttons. Each returns Block Kit as Slack reads it.

What a person or a machine wrote is only ever put into a literal element, where Slack interprets nothing.
Nothing here may know a session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from bot.views import text as words
from engine.model import Actor, Person

Block = dict[str, Any]
Element = dict[str, Any]
Bit = str | Element  #: a literal text or a rich text element


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A message: ``text`` for notifications and screen readers, blocks for eyes. Both say the same."""

    text: str
    blocks: list[Block] = field(default_factory=list)


# ---------------------------------------------------------------- literal text


def literal(text: str, *, bold: bool = False, code: bool = False) -> Element:
    style = {name: True for name, wanted in (("bold", bold), ("code", code)) if wanted}
    return {"type": "text", "text": words.shorten(text, words.LITERAL_MAX)} | ({"style": style} if style else {})


def bold(text: str) -> Element:
    return literal(text, bold=True)


def person(someone: Person | None) -> Element:
    """A mention when Slack knows the person, else the id as text."""
    if someone is not None and words.is_slack_user(someone):
        return {"type": "user", "user_id": someone.user}
    return literal(words.one_line(someone.user, 40) if someone else "Runbook Bot")


def actor(someone: Actor) -> Element:
    if someone.person is not None:
        return person(someone.person)
    return literal(words.one_line(someone.name or "Runbook Bot", 60))


def people(some: Iterable[Person], most: int = 10) -> list[Bit]:
    """Mentions, sorted, with commas, and how many more there are."""
    ordered = sorted(some, key=str)
    bits: list[Bit] = []
    for one in ordered[:most]:
        bits += [", ", person(one)] if bits else [person(one)]
    if len(ordered) > most:
        bits.append(f" and {len(ordered) - most} more")
    return bits or ["nobody"]


def told(sentence: str, some: Iterable[Person]) -> list[Bit]:
    """A sentence of ours: ids of the people it is about become mentions, times are in the reader's time zone."""
    known = {one.user: person(one) for one in some}
    bits: list[Bit] = []
    for number, part in enumerate(words.UTC_TIME.split(words.visible(sentence))):
        if number % 2:
            bits.append(_local(part))
        else:
            bits += [known.get(word, word) for word in words.WORDS.split(part) if word]
    return bits


def _local(written: str) -> Bit:
    """A time that a sentence names, as it is written where it is none."""
    try:
        at = datetime.strptime(written, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except ValueError:
        return written
    return moment(at) | {"fallback": written}


def moment(at: datetime | None) -> Element:
    """A time in the reader's own time zone."""
    if at is None:
        return literal("an unknown time")
    return {
        "type": "date",
        "timestamp": int(at.timestamp()),
        "format": "{date_short_pretty} at {time}",
        "fallback": words.clock(at),
    }


def line(*bits: Bit) -> Element:
    """One paragraph of literal text."""
    elements = [literal(bit) if isinstance(bit, str) else bit for bit in bits if bit]
    return {"type": "rich_text_section", "elements": elements or [literal(" ")]}


def rich(*parts: Element) -> Block:
    return {"type": "rich_text", "elements": list(parts)}


def paragraph(*bits: Bit) -> Block:
    return rich(line(*bits))


def bullets(items: Iterable[Sequence[Bit]]) -> Element:
    return {"type": "rich_text_list", "style": "bullet", "elements": [line(*bits) for bits in items]}


def facts(*rows: tuple[str, Sequence[Bit]]) -> Block:
    """Lines of ``label: value``; rows without a value are left out."""
    bits: list[Bit] = []
    for label, value in rows:
        if value:
            bits += ["\n"] if bits else []
            bits += [bold(f"{label}: "), *value]
    return paragraph(*bits)


def verbatim(text: str) -> list[Element]:
    """Preformatted parts whose texts, put together, are exactly ``text``."""
    return [
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": chunk}]}
        for chunk in chunks(text, words.LITERAL_MAX)
    ]


def chunks(text: str, most: int) -> list[str]:
    """Cut text into pieces of at most so many characters, behind a line end where there is one."""
    pieces = []
    while len(text) > most:
        cut = text.rfind("\n", 0, most) + 1 or most
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text] if text else pieces


# ---------------------------------------------------------------- blocks that only we write


def header(text: str) -> Block:
    return _block(HeaderBlock(text=PlainTextObject(text=words.one_line(text, words.HEADER_MAX), emoji=False)))


def note(text: str) -> Block:
    """Small print. ``text`` is Slack markup: what others wrote must have been escaped."""
    return _block(ContextBlock(elements=[MarkdownTextObject(text=words.shorten(text, 2000), verbatim=True)]))


def section(text: str) -> Block:
    """A paragraph of Slack markup: what others wrote must have been escaped."""
    return _block(SectionBlock(text=MarkdownTextObject(text=words.shorten(text, words.LITERAL_MAX), verbatim=True)))


def divider() -> Block:
    return _block(DividerBlock())


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """The question before a button's click counts; plain text."""

    title: str
    text: str
    confirm: str
    deny: str = "Back"


def button(
    label: str,
    action_id: str,
    value: str,
    *,
    style: Literal["primary", "danger"] | None = None,
    confirm: Confirm | None = None,
) -> ButtonElement:
    return ButtonElement(
        text=PlainTextObject(text=label, emoji=False),
        action_id=action_id,
        value=value,
        style=style,
        confirm=_confirm(confirm, style) if confirm else None,
    )


def actions(*buttons: ButtonElement) -> Block:
    return _block(ActionsBlock(elements=list(buttons)))


def _confirm(question: Confirm, style: str | None) -> ConfirmObject:
    return ConfirmObject(
        title=PlainTextObject(text=words.one_line(question.title, 100), emoji=False),
        text=PlainTextObject(text=words.shorten(question.text, 300), emoji=False),
        confirm=PlainTextObject(text=words.one_line(question.confirm, 30), emoji=False),
        deny=PlainTextObject(text=words.one_line(question.deny, 30), emoji=False),
        style=style,
    )


def _block(block: ActionsBlock | ContextBlock | DividerBlock | HeaderBlock | SectionBlock) -> Block:
    return dict(block.to_dict())
