"""A Slack workspace in a file: what was posted stays posted, whoever dies before hearing of it.

It answers the calls that the product's sender makes, keeps every one in a ledger, and gives the thread's history
back with its metadata, unless it may not be read. No network: the sender's client is replaced at its lowest call.
"""

from __future__ import annotations

import json
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.delivery_sender import SlackSender
from tests.crash.campaign.points import CrashPoints
from tests.crash.campaign.world import Ledger, Line, StoredClock

SHARED_AFTER = 20.0  #: seconds until a file that was taken is to be seen in its thread
SHOWING = {"chat.postMessage", "chat.update", "chat.postEphemeral", "views.publish", "files.completeUploadExternal"}


class StoredSlack(WebClient):
    """A client whose calls end in a file."""

    def __init__(self, ledger: Ledger, clock: StoredClock, points: CrashPoints, *, readable: bool) -> None:
        super().__init__("xoxb-crash-campaign")
        self._ledger, self._clock, self._points, self._readable = ledger, clock, points, readable

    def api_call(self, api_method: str, **parts: Any) -> Any:
        arguments = {**(parts.get("json") or {}), **(parts.get("params") or {}), **(parts.get("data") or {})}
        self._points.reach(f"slack {api_method}:before")
        try:
            return self._answer(api_method, {k: v for k, v in arguments.items() if v is not None})
        finally:
            self._points.reach(f"slack {api_method}:after")

    def put(self, url: str, content: bytes) -> None:
        """Take a file's bytes; nobody sees them before the upload is completed."""
        self._points.reach("slack files.upload:before")
        self._ledger.add(call="files.upload", url=url, size=len(content))
        self._points.reach("slack files.upload:after")

    def _answer(self, method: str, arguments: Line) -> Line:
        if method.startswith("conversations."):
            return self._history(method, arguments)
        ts = f"{self._clock.now().timestamp():.6f}"
        answer: Line = {"ok": True, "ts": arguments.get("ts", ts)}
        if method == "files.getUploadURLExternal":
            answer |= {"upload_url": f"https://files.example/{ts}", "file_id": f"F{ts}"}
            self._ledger.add(call=method, id=f"F{ts}", name=arguments["filename"])
        if method in SHOWING:
            self._ledger.add(call=method, **(arguments | {"ts": answer["ts"]}))
        return answer

    def _history(self, method: str, arguments: Line) -> Line:
        if not self._readable:
            raise SlackApiError("missing_scope", _refusal(method))  # type: ignore[no-untyped-call]
        oldest, thread = float(arguments["oldest"]), arguments.get("ts", "")
        seen_by_now = self._clock.now().timestamp() - SHARED_AFTER
        files = [m for m in shared_files(self._ledger.lines) if float(m["ts"]) < seen_by_now]
        everything = [*shown(self._ledger.lines), *files]
        messages = [m for m in everything if m["channel"] == arguments["channel"]]
        mine = [m for m in messages if (m["ts"] == thread or m.get("thread_ts", "") == thread) and thread]
        roots = [m for m in messages if not m.get("thread_ts")]
        found = mine if method == "conversations.replies" else roots[::-1]
        return {"ok": True, "messages": [m for m in found if float(m["ts"]) > oldest]}


class StoredSender(SlackSender):
    """The product's sender, with the client above in the place of the one it made."""

    def __init__(self, client: StoredSlack) -> None:
        super().__init__(client)
        self._client = client
        self._slack = client

    def _put(self, url: str, content: bytes) -> None:
        self._slack.put(url, content)


def shown(lines: list[Line]) -> list[Line]:
    """Return the messages that people see: as posted, with their edits."""
    posts = {line["ts"]: dict(line) for line in lines if line["call"] == "chat.postMessage"}
    for line in lines:
        if line["call"] == "chat.update" and line["ts"] in posts:
            posts[line["ts"]] |= {name: line.get(name) for name in ("text", "blocks", "metadata")}
    return list(posts.values())


def shared_files(lines: list[Line]) -> list[Line]:
    """Return the messages that carry files."""
    names = {line["id"]: line["name"] for line in lines if line["call"] == "files.getUploadURLExternal"}
    found = []
    for line in lines:
        if line["call"] == "files.completeUploadExternal":
            files = json.loads(line["files"]) if isinstance(line["files"], str) else line["files"]
            place = {"channel": line["channel_id"], "thread_ts": line.get("thread_ts", ""), "ts": line["ts"]}
            words = line.get("initial_comment", "")
            found.append(place | {"text": words, "files": [{"name": names[file["id"]]} for file in files]})
    return found


def key_of(message: Line) -> str:
    """Return the outbox key that a message carries."""
    metadata = message.get("metadata") or {}
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    return str(metadata.get("event_payload", {}).get("outbox", ""))


def _refusal(method: str) -> SlackResponse:
    return SlackResponse(
        client=None,
        http_verb="GET",
        api_url=method,
        req_args={},
        data={"ok": False, "error": "missing_scope"},
        headers={},
        status_code=200,
    )
