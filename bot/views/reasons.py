"""Dialogs that ask why: before a rejection, a choice after trouble, or a cancellation counts.

``private_metadata`` holds what the button held, and it is looked up again on submission. Nothing in a dialog is
ever trusted as authority, and each says what will happen.
"""

from __future__ import annotations

from typing import Any

from slack_sdk.models.blocks import InputBlock, PlainTextInputElement, PlainTextObject

from bot import ids
from bot.views import parts
from bot.views import text as words
from bot.views.notices import CONSEQUENCES, LABELS
from engine.events import Choice

View = dict[str, Any]
REASON_MAX = 500


def reject(metadata: str) -> View:
    """Ask why a step is rejected; the reason is required."""
    blocks = [
        parts.paragraph("The step will not run, and its session ends."),
        _reason("Why? Everybody in the thread reads it.", required=True),
    ]
    return _modal("Reject this step", "Reject", blocks, callback=ids.VIEW_REJECT, metadata=metadata)


def choose(session: int, step: int, choice: Choice, *, metadata: str) -> View:
    """Ask for what is known before a choice counts; the reason is required."""
    blocks = [
        parts.paragraph(f"Session {session}, step {step}. {LABELS[choice]}: {CONSEQUENCES[choice]}."),
        _reason("What do you know? Everybody in the thread reads it.", required=True),
    ]
    return _modal("How to go on", LABELS[choice], blocks, callback=ids.VIEW_CHOOSE, metadata=metadata)


def cancel(session_id: int, *, metadata: str) -> View:
    """Ask why a session is called off; the reason may be left out."""
    blocks = [
        parts.paragraph(
            f"Session {session_id} stops before its next step. A command that is running is asked to stop. "
            "Steps that are done stay done."
        ),
        _reason("Why?", required=False),
    ]
    return _modal("Cancel the session", "Cancel session", blocks, callback=ids.VIEW_CANCEL, metadata=metadata)


def over(why: str) -> View:
    """Replace a dialog whose question was decided meanwhile."""
    return {
        "type": "modal",
        "title": _plain("Already decided"),
        "close": _plain("Close"),
        "blocks": [parts.paragraph(words.visible(why) or "This was decided meanwhile.")],
    }


def _reason(label: str, *, required: bool) -> parts.Block:
    block = InputBlock(
        block_id=ids.BLOCK_REASON,
        label=PlainTextObject(text=label, emoji=False),
        element=PlainTextInputElement(action_id=ids.INPUT, multiline=True, max_length=REASON_MAX, focus_on_load=True),
        optional=not required,
    )
    return dict(block.to_dict())


def _modal(title: str, submit: str, blocks: list[parts.Block], *, callback: str, metadata: str) -> View:
    return {
        "type": "modal",
        "callback_id": callback,
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain("Back"),
        "private_metadata": metadata,
        "blocks": blocks,
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": words.shorten(text, words.MODAL_TITLE_MAX), "emoji": False}
