"""What a person is told when something was refused, broke or takes too long: one sentence and what to do next.

Sentences come from the errors themselves; nothing here may show the text of an error that was not written for people.
"""

from __future__ import annotations

import html

NOT_CONFIRMED = (
    "Not confirmed yet: the database is slow to answer. The outcome follows here as soon as it is known; "
    "until then `/runbook status` shows what was recorded."
)
RECORDED_LATE = "Recorded now: what you did a moment ago has counted. The message shows what became of it."
OUT_OF_DATE = (
    "This message is out of date, and its button does nothing any more. `/runbook status` shows what is going on."
)
TOO_FAST = "That were many requests at once, and this one was not looked at. Try again in a few seconds."


def markup(text: str) -> str:
    """Make a sentence safe for Slack's markup, keeping its single backticks."""
    return html.escape(text, quote=False).replace("```", "'''")


def broke(reference: str) -> str:
    """Return what to say about an error that nobody expected."""
    return (
        f"Something broke here, reference `{reference}`. Whether your request was recorded is shown by "
        "`/runbook status`; whoever runs this bot finds the reference in its log."
    )
