"""Blocks that Slack takes and no bot here sends: those of its surface for agents, with their published limits.

The simulated workspace accepts them as Slack does, and refuses them as Slack does; it draws them as JSON and nobody
can click in them. The product's own validator must never learn them from here: what it sends is checked without.
"""

from bot.blockkit import Surface, validate_blocks, validate_view
from bot.blockkit_checks import Check, Json, at, either, items, listed, one_of, shape, string, type_of, typed
from bot.blockkit_rules import BLOCKS, CONFIRM, ELEMENTS, ID, RICH_TEXT, URL, text

FEEDBACK = shape({"text": text(75, plain=True), "value": string(2000)}, {"accessibility_label": string(75)})
SOURCE = typed({"url": shape({"url": URL, "text": string()})})
TASK = shape(
    {"task_id": string(), "title": string(), "status": one_of("pending", "in_progress", "complete", "error")},
    {"block_id": ID, "details": RICH_TEXT, "output": RICH_TEXT, "sources": items(SOURCE, least=0)},
)
CARD = shape(
    {},
    {
        "block_id": ID,
        "hero_image": ELEMENTS["image"],
        "icon": ELEMENTS["image"],
        "title": text(150),
        "subtitle": text(150),
        "body": text(200),
        "actions": items(typed(ELEMENTS, "button"), 3),
    },
    either("hero_image", "title", "actions", "body"),
)
CONTEXT_ACTIONS: dict[str, Check] = {
    "feedback_buttons": shape({"positive_button": FEEDBACK, "negative_button": FEEDBACK}, {"action_id": ID}),
    "icon_button": shape(
        {"icon": string(), "text": text(75, plain=True)},
        {"action_id": ID, "value": string(2000), "confirm": CONFIRM, "accessibility_label": string(75)},
    ),
}
YOUNG: dict[str, Check] = {
    "alert": shape(
        {"text": text(200)}, {"block_id": ID, "level": one_of("default", "info", "warning", "error", "success")}
    ),
    "card": CARD,
    "carousel": shape({"elements": items(typed({"card": CARD}), 10)}, {"block_id": ID}),
    "context_actions": shape({"elements": items(typed(CONTEXT_ACTIONS), 5)}, {"block_id": ID}),
    "plan": shape({"title": string()}, {"block_id": ID, "tasks": items(typed({"task_card": TASK}), least=0)}),
    "task_card": TASK,
}
SLACK_BLOCK = typed(BLOCKS | YOUNG)
NOT_IN_MESSAGES = frozenset({"alert"})
ONLY_IN_MESSAGES = frozenset({"plan", "task_card"})


def problems_of(blocks: list[Json], surface: Surface) -> list[str]:
    """What Slack finds wrong with these blocks on this surface."""
    return [*validate_blocks(blocks, surface, each=SLACK_BLOCK), *_misplaced(blocks, surface)]


def view_problems(view: Json) -> list[str]:
    """What Slack finds wrong with this modal or Home tab."""
    kind: Surface = "home" if view.get("type") == "home" else "modal"
    return [*validate_view(view, each=SLACK_BLOCK), *_misplaced(listed(view.get("blocks")), kind)]


def _misplaced(blocks: list[Json], surface: Surface) -> list[str]:
    wrong = NOT_IN_MESSAGES if surface == "message" else ONLY_IN_MESSAGES
    kinds = enumerate(type_of(block) for block in blocks)
    return [
        at(f"/blocks/{index}/type", f"{kind} blocks are not for a {surface}") for index, kind in kinds if kind in wrong
    ]
