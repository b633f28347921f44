"""What may stand in a message: text limits, block rules and metadata, refused with Slack's error codes.

Shared by every way to post: the Web API, response URLs and acknowledgements. It must never repair a message,
except that it cuts a posted text where Slack cuts it.
"""

from typing import Any

from playground.slack.api import ApiError
from playground.slack.blocks import Json
from playground.slack.limits import (
    ATTACHMENTS_MAX,
    MARKDOWN_TEXT_MAX,
    TEXT_TRUNCATED_ABOVE,
    UPDATE_TEXT_MAX,
)
from playground.slack.state import World
from playground.slack.young_blocks import problems_of


def checked_blocks(blocks: Any) -> list[Json]:
    """The blocks, or `invalid_blocks` with every problem and its place."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise ApiError("invalid_blocks_format")
    problems = problems_of(blocks, "message")
    if any("only_one_table_allowed" in problem for problem in problems):
        raise ApiError("invalid_attachments", response_metadata={"messages": ["only_one_table_allowed"]})
    if problems:
        raise ApiError("invalid_blocks", **explained(problems))
    return blocks


def explained(problems: list[str]) -> Json:
    messages = [f"[ERROR] {problem}" for problem in problems]
    return {"response_metadata": {"messages": messages}}


def numbered(world: World, blocks: list[Json]) -> list[Json]:
    """The blocks as Slack stores them: each with a block_id; a markdown block's own id is not kept."""
    stored = []
    for block in blocks:
        own = None if block["type"] == "markdown" else block.get("block_id")
        stored.append(block | {"block_id": own or world.new_id("", 5)})
    return stored


def content_of(world: World, args: Json, *, update: bool = False) -> tuple[str, list[Json] | None]:
    """Text and blocks of a message to post or update; None means that no blocks were given."""
    text = str(args.get("text") or "")
    blocks = args.get("blocks")
    if "markdown_text" in args:
        text = _markdown_text(args)
    _check_size(text, args, update=update)
    if blocks is not None:
        return text[:TEXT_TRUNCATED_ABOVE], numbered(world, checked_blocks(blocks))
    if not text and not args.get("attachments"):
        raise ApiError("no_text")
    return text[:TEXT_TRUNCATED_ABOVE], None


def _markdown_text(args: Json) -> str:
    if args.get("text") or args.get("blocks"):
        raise ApiError("markdown_text_conflict")
    text = str(args["markdown_text"])
    if len(text) > MARKDOWN_TEXT_MAX:
        raise ApiError("msg_too_long")
    return text


def _check_size(text: str, args: Json, *, update: bool) -> None:
    if update and len(text) > UPDATE_TEXT_MAX:
        raise ApiError("msg_too_long")
    if len(args.get("attachments") or []) > ATTACHMENTS_MAX:
        raise ApiError("too_many_attachments")
    if not text and args.get("blocks") == []:
        raise ApiError("no_text")


def checked_metadata(args: Json) -> Json | None:
    """The metadata, None when it was left out, an empty object when it shall be cleared."""
    metadata = args.get("metadata")
    if metadata is None or metadata == {}:
        return metadata
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise ApiError("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise ApiError("invalid_metadata_format")
    return metadata
