"""Slack's Web API as the outbox needs it: one try per call, and for each try an honest answer about what happened.

Every failure is one of: not sent for sure, asked for patience, refused for good, our token refused, or not known.
Nothing here may retry, and neither tokens nor addresses for answers may ever reach a log.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from bot.delivery_pace import is_update
from bot.delivery_render import Parcel
from bot.ids import METADATA_EVENT
from bot.views.result import OutputFile
from engine.effects import Purpose
from engine.errors import DeliveryError
from engine.ports import Message

TIMEOUT_SECONDS = 10
PAGE = 200
PAGES_MAX = 10
SKEW = timedelta(minutes=5)  #: between our clock and Slack's
REPEATED = "This may be shown twice: Slack did not confirm the first time."
DEFAULT_PATIENCE = 30.0  #: seconds, when Slack asks for patience and does not say how much

CREDENTIALS = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
UNSURE = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
PLACES = frozenset(
    {
        "as_user_not_supported",
        "channel_not_found",
        "is_archived",
        "no_permission",
        "not_in_channel",
        "posting_to_channel_denied",
        "posting_to_general_channel_denied",
        "restricted_action",
        "restricted_action_non_threadable_channel",
        "restricted_action_read_only_channel",
        "restricted_action_thread_locked",
        "restricted_action_thread_only_channel",
        "slack_connect_canvas_sharing_blocked",
        "team_not_found",
        "user_disabled",
        "user_not_found",
        "user_not_in_channel",
    }
)


class NotSent(DeliveryError):
    """Slack could not be reached; nothing was posted."""

    code = "not_sent"


class Unsure(DeliveryError):
    """Slack did not confirm; the message may have been posted."""

    code = "unsure"


class Throttled(DeliveryError):
    """Slack asked for patience; nothing was posted."""

    code = "throttled"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Locked(DeliveryError):
    """Slack does not accept our token; no message can be posted until that is mended."""

    code = "locked"


class Undeliverable(DeliveryError):
    """Slack refused the message for good."""

    code = "undeliverable"

    def __init__(self, reason: str) -> None:
        """``reason`` is Slack's error code."""
        super().__init__(f"Slack refused the message: {reason}.")
        self.reason = reason


class SlackSender:
    """Sends parcels with a client that never retries by itself."""

    def __init__(self, client: WebClient) -> None:
        self._client = WebClient(
            token=client.token,
            base_url=client.base_url,
            timeout=TIMEOUT_SECONDS,
            ssl=client.ssl,
            proxy=client.proxy,
            headers=client.headers,
            retry_handlers=[],
        )

    def send(self, parcel: Parcel, *, repeat: bool = False) -> str:
        """Show a parcel and return the message's ts, empty for what has none.

        ``repeat`` marks a post that may be the second one, because nobody could look.
        """
        message = parcel.message
        with _translated():
            if parcel.view is not None:
                self._client.views_publish(user_id=message.user, view=parcel.view)
                return ""
            if parcel.file is not None:
                return self._upload(parcel, parcel.file, repeat=repeat)
            if message.purpose is Purpose.EPHEMERAL:
                return self._tell(parcel)
            return self._update(parcel) if is_update(message) else self._post(parcel, repeat=repeat)

    def find(self, parcel: Parcel) -> tuple[str, int] | None:
        """Look for a message that may have been posted: its ts and revision; None when it is not there.

        ``Undeliverable`` when we may not look.
        """
        with _translated(reading=True):
            for each in self._posted(parcel):
                metadata = each.get("metadata") or {}
                payload = metadata.get("event_payload") or {}
                if metadata.get("event_type") == METADATA_EVENT and payload.get("outbox") == parcel.message.key:
                    return str(each["ts"]), int(payload.get("revision") or 0)
                if parcel.file and any(file.get("name") == parcel.file.name for file in each.get("files") or []):
                    return "", parcel.message.revision  # a file has no key of ours, but a name that no other one has
        return None

    def _posted(self, parcel: Parcel) -> Iterator[dict[str, Any]]:
        """Read the thread, or for its root the channel, since the session began."""
        read = self._client.conversations_replies if parcel.thread_ts else self._client.conversations_history
        place = {"ts": parcel.thread_ts} if parcel.thread_ts else {}
        oldest = f"{(parcel.since - SKEW).timestamp():.6f}" if parcel.since else "0"
        cursor = ""
        for _ in range(PAGES_MAX):
            page = read(
                channel=parcel.message.channel,
                oldest=oldest,
                limit=PAGE,
                cursor=cursor or None,
                include_all_metadata=True,
                **place,  # type: ignore[arg-type]  # one of two methods with different parameters
            )
            yield from page.get("messages") or []
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _post(self, parcel: Parcel, *, repeat: bool) -> str:
        assert parcel.rendered is not None
        note = f" ({REPEATED})" if repeat else ""
        answer = self._client.chat_postMessage(
            channel=parcel.message.channel,
            text=parcel.rendered.text + note,
            blocks=parcel.rendered.blocks or None,
            thread_ts=parcel.thread_ts or None,
            metadata=_metadata(parcel.message, repeat=repeat),
            unfurl_links=False,
            unfurl_media=False,
            parse="none",
            link_names=False,
        )
        return str(answer["ts"])

    def _update(self, parcel: Parcel) -> str:
        """Edit the message; one that somebody has deleted is posted again."""
        assert parcel.rendered is not None
        message = parcel.message
        try:
            self._client.chat_update(
                channel=message.channel,
                ts=message.ts,
                text=parcel.rendered.text,
                blocks=parcel.rendered.blocks,
                metadata=_metadata(message),
                unfurl_links=False,
                unfurl_media=False,
                parse="none",
                link_names=False,
            )
        except SlackApiError as error:
            if _code(error) not in GONE:
                raise
            return self._post(parcel, repeat=False)
        return message.ts

    def _tell(self, parcel: Parcel) -> str:
        """Tell one person: through Slack's address for the answer while it lasts, else in the channel or directly."""
        assert parcel.rendered is not None
        message, text = parcel.message, parcel.rendered.text
        if self._answered(message, text):
            return ""
        if message.channel == message.user or not message.channel:
            self._client.chat_postMessage(
                channel=message.user,
                text=text,
                metadata=_metadata(message),
                unfurl_links=False,
                unfurl_media=False,
                parse="none",
                link_names=False,
            )
            return ""
        self._client.chat_postEphemeral(
            channel=message.channel,
            user=message.user,
            text=text,
            thread_ts=parcel.thread_ts or None,
            parse="none",
            link_names=False,
        )
        return ""

    def _answered(self, message: Message, text: str) -> bool:
        url = message.payload.get("response_url", "")
        if not url:
            return False
        hook = WebhookClient(
            url, timeout=TIMEOUT_SECONDS, proxy=self._client.proxy, ssl=self._client.ssl, retry_handlers=[]
        )
        answer = hook.send(
            text=text,
            response_type="ephemeral",
            replace_original=False,
            unfurl_links=False,
            unfurl_media=False,
        )
        return answer.status_code == 200

    def _upload(self, parcel: Parcel, file: OutputFile, *, repeat: bool) -> str:
        """Attach a file in Slack's three steps. Only the last one shows anything, so only it can be in doubt."""
        with _translated(reading=True):
            ticket = self._client.files_getUploadURLExternal(filename=file.name, length=len(file.content))
            self._put(str(ticket["upload_url"]), file.content)
        with _translated():
            self._client.files_completeUploadExternal(
                files=[{"id": str(ticket["file_id"]), "title": file.title}],
                channel_id=parcel.message.channel,
                thread_ts=parcel.thread_ts or None,
                initial_comment=REPEATED if repeat else None,
            )
        return ""

    def _put(self, url: str, content: bytes) -> None:
        if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise Undeliverable("unexpected_upload_address")
        request = Request(url, data=content, method="POST")  # noqa: S310 - the scheme was just checked
        request.add_header("Content-Type", "application/octet-stream")
        with urlopen(request, timeout=TIMEOUT_SECONDS, context=self._client.ssl) as answer:  # noqa: S310
            answer.read()


def _metadata(message: Message, *, repeat: bool = False) -> dict[str, Any]:
    payload: dict[str, Any] = {"outbox": message.key, "revision": message.revision}
    return {"event_type": METADATA_EVENT, "event_payload": payload | ({"repeat": True} if repeat else {})}


@contextmanager
def _translated(*, reading: bool = False) -> Iterator[None]:
    """Turn what the SDK raises into our errors. A call that only reads is never in doubt."""
    try:
        yield
    except SlackApiError as error:
        raise _from_answer(error, reading=reading) from None  # the cause would carry request and answer
    except SlackClientError as error:
        raise Undeliverable(type(error).__name__) from None
    except (HTTPException, OSError) as error:
        doubt = not reading and not _surely_not_sent(error)
        raise (Unsure if doubt else NotSent)(f"Slack was not reached: {_name(error)}.") from None


def _from_answer(error: SlackApiError, *, reading: bool) -> DeliveryError:
    status, code = _status(error), _code(error)
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        return Throttled(_patience(error))
    if status >= 500 or code in UNSURE:
        return (NotSent if reading else Unsure)(f"Slack answered {status} {code}.")
    if code in CREDENTIALS and not (reading and code == "missing_scope"):
        return Locked(f"Slack answered {code}.", hint="Check SLACK_BOT_TOKEN and the app's scopes, and reinstall it.")
    return Undeliverable(code)


def _status(error: SlackApiError) -> int:
    return int(getattr(error.response, "status_code", 0) or 0)


def _code(error: SlackApiError) -> str:
    """Return Slack's error code; an answer that is no JSON has none."""
    code = str(error.response.get("error") or "")
    return code if code.replace("_", "").isalnum() and len(code) <= 80 else "unreadable_answer"


def _patience(error: SlackApiError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    named = {str(name).lower(): str(value) for name, value in headers.items()}.get("retry-after", "")
    return float(named) if named.isdigit() else DEFAULT_PATIENCE


def _surely_not_sent(error: BaseException) -> bool:
    reason = error.reason if isinstance(error, URLError) else error
    return isinstance(reason, ConnectionRefusedError | socket.gaierror)


def _name(error: BaseException) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    return type(reason).__name__
