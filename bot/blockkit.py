"""Block Kit validator: says what Slack would refuse in a message, a modal or a Home tab, before Slack does.

It knows the blocks and elements a bot sends; any other is a problem, since nobody has checked its limits.
Every problem names the place as a JSON pointer. It must never change or shorten what it checks, and it
imports nothing beyond its own rules, so that views, tests and the local workspace can all use it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from bot.blockkit_checks import Check, Json, at, listed, too_long, type_of
from bot.blockkit_rules import BLOCK, HOME, MARKDOWN_MAX, MODAL

Surface = Literal["message", "modal", "home"]

BLOCKS_MAX: dict[Surface, int] = {"message": 50, "modal": 100, "home": 100}
POST_TEXT_MAX = 40_000
UPDATE_TEXT_MAX = 4_000
VIEW_BYTES_MAX = 250_000
MESSAGE_ONLY = frozenset({"markdown", "table"})


def validate_blocks(blocks: list[Json], surface: Surface, *, each: Check = BLOCK) -> list[str]:
    """Problems of these blocks on this surface, each with its place; an empty list means valid.

    `each` checks one block; the local workspace knows more kinds of them than a bot sends.
    """
    problems = [problem for index, block in enumerate(blocks) for problem in each(block, f"/blocks/{index}")]
    known = [block for block in blocks if isinstance(block, dict)]
    return [*problems, *_count(blocks, surface), *_surface(known, surface), *_ids(known), *_sums(known)]


def validate_message(text: str, blocks: list[Json] | None, *, update: bool) -> list[str]:
    """Problems of a whole message. Stricter than Slack: text is needed beside blocks, since notifications
    and screen readers use nothing else.
    """
    problems = []
    most = UPDATE_TEXT_MAX if update else POST_TEXT_MAX
    if not text:
        problems.append(at("/text", "must not be empty; notifications and screen readers read only this"))
    elif len(text) > most:
        problems.append(at("/text", too_long(len(text), most)))
    return problems + (validate_blocks(blocks, "message") if blocks else [])


def validate_view(view: Json, *, each: Check = BLOCK) -> list[str]:
    """Problems of a modal or Home tab, its blocks included."""
    kind = view.get("type")
    if kind not in ("modal", "home"):
        return [at("/type", f"must be modal or home, not {kind!r}")]
    blocks = view.get("blocks")
    problems = list((MODAL if kind == "modal" else HOME)(view, ""))
    if not isinstance(blocks, list):
        return problems
    if kind == "modal" and "submit" not in view and any(type_of(block) == "input" for block in blocks):
        problems.append(at("/submit", "is required when there is an input block"))
    if len(str(view).encode()) > VIEW_BYTES_MAX:
        problems.append(at("", f"view is larger than {VIEW_BYTES_MAX} bytes; shorten its blocks"))
    return problems + validate_blocks(blocks, kind, each=each)


# rules for the payload as a whole


def _count(blocks: list[Json], surface: Surface) -> Iterator[str]:
    if len(blocks) > BLOCKS_MAX[surface]:
        yield at("/blocks", f"no more than {BLOCKS_MAX[surface]} items allowed, not {len(blocks)}")


def _surface(blocks: list[Json], surface: Surface) -> Iterator[str]:
    for index, block in enumerate(blocks):
        if surface != "message" and type_of(block) in MESSAGE_ONLY:
            yield at(f"/blocks/{index}/type", f"{block['type']} blocks are for messages, not for a {surface}")


def _ids(blocks: list[Json]) -> Iterator[str]:
    seen = Counter(str(block["block_id"]) for block in blocks if "block_id" in block)
    for block_id, times in seen.items():
        if times > 1:
            yield at("/blocks", f"block_id {block_id!r} is used {times} times; make each unique")
    for index, block in enumerate(blocks):
        actions = Counter(_action_ids(block))
        for action_id, times in actions.items():
            if times > 1:
                yield at(f"/blocks/{index}", f"action_id {action_id!r} is used {times} times in one block")


def _action_ids(block: Json) -> Iterator[str]:
    for element in listed(block.get("elements")):
        if isinstance(element, dict) and isinstance(element.get("action_id"), str):
            yield element["action_id"]


def _sums(blocks: list[Json]) -> Iterator[str]:
    total = sum(len(str(block.get("text", ""))) for block in blocks if type_of(block) == "markdown")
    if total > MARKDOWN_MAX:
        yield at("/blocks", f"all markdown blocks together {too_long(total, MARKDOWN_MAX)}")
    if sum(type_of(block) == "table" for block in blocks) > 1:
        yield at("/blocks", "only_one_table_allowed: put all rows into one table")
