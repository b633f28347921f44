"""A sentence for one person, at once and past the database: through Slack's own address for the answer.

It is for what the outbox cannot carry, because nothing can be stored. It lasts half an hour and five sentences, and
is a secret: nothing here may log it, retry, or be used for what must not be lost.
"""

from __future__ import annotations

from http.client import HTTPException

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.webhook import WebhookClient

log = structlog.get_logger(__name__)

SECONDS = 2  #: a person waits at the other end


def whisper_to(client: WebClient, url: str, text: str) -> bool:
    """Show a text to whoever the address belongs to; False when there is none or Slack did not take it."""
    if not url:
        return False
    hook = WebhookClient(url, timeout=SECONDS, proxy=client.proxy, ssl=client.ssl, retry_handlers=[])
    try:
        answer = hook.send(text=text, response_type="ephemeral", replace_original=False)
    except (SlackClientError, HTTPException, OSError) as error:
        log.warning("whisper_failed", reason=type(error).__name__)
        return False
    return answer.status_code == 200
