"""`views.*`: modals in a stack of three and one Home tab per person.

A trigger opens or pushes a view once and within three seconds; an update must name the view it saw by its
hash. Input typed by a person survives an update only where block and action keep their ids.
"""

from typing import Any

from playground.slack.api import ApiError, Call, Method
from playground.slack.blocks import Json, interactive
from playground.slack.content import explained, numbered
from playground.slack.limits import VIEW_STACK_MAX
from playground.slack.model import View
from playground.slack.state import Trigger, World
from playground.slack.young_blocks import view_problems

VIEW_BYTES_MAX = 250_000


def open_view(call: Call) -> Json:
    content = _content(call, "modal")
    trigger = _trigger(call)
    view = new_view(call.world, trigger.user_id, content)
    replace_stack(call.world, trigger.user_id, [view])
    return {"view": view.as_json()}


def push_view(call: Call) -> Json:
    content = _content(call, "modal")
    trigger = _trigger(call)
    if trigger.view_id is None or not call.world.stack(trigger.user_id):
        raise ApiError("not_found")
    view = push(call.world, trigger.user_id, content)
    return {"view": view.as_json()}


def push(world: World, user_id: str, content: Json) -> View:
    """Put a view on top of the person's stack."""
    stack = world.stack(user_id)
    if len(stack) >= VIEW_STACK_MAX:
        raise ApiError("push_limit_reached")
    view = new_view(world, user_id, content)
    view.root_id = stack[0].id
    view.previous_id = stack[-1].id
    stack.append(view)
    world.touch()
    return view


def update_view(call: Call) -> Json:
    view = _wanted_view(call)
    if call.args.get("hash") and call.args["hash"] != view.hash:
        raise ApiError("hash_conflict")
    replace_content(call.world, view, _content(call, view.type, but=view))
    return {"view": view.as_json()}


def publish(call: Call) -> Json:
    world = call.world
    user_id = str(call.need("user_id"))
    if user_id not in world.users:
        raise ApiError("user_not_found")
    before = world.homes.get(user_id)
    if call.args.get("hash") and (before is None or call.args["hash"] != before.hash):
        raise ApiError("hash_conflict")
    content = _content(call, "home", but=before)
    if before is None:
        before = world.homes[user_id] = new_view(world, user_id, content)
        world.touch()
    else:
        replace_content(world, before, content)
    return {"view": before.as_json()}


def new_view(world: World, user_id: str, content: Json) -> View:
    ident = world.new_id("V")
    stored = content | {"blocks": numbered(world, content["blocks"])}
    view = View(id=ident, user_id=user_id, content=stored, hash=world.new_hash(), root_id=ident)
    world.views[ident] = view
    return view


def replace_content(world: World, view: View, content: Json) -> None:
    """Give the view new content and a new hash; forget what was typed into inputs that are gone."""
    view.content = content | {"blocks": numbered(world, content["blocks"])}
    view.hash = world.new_hash()
    kept = {(placed.block_id, placed.action_id) for placed in interactive(view.blocks)}
    view.typed = {key: value for key, value in view.typed.items() if key in kept}
    world.touch()


def replace_stack(world: World, user_id: str, stack: list[View]) -> None:
    """Close what was open, except the views that stay in the new stack."""
    staying = {view.id for view in stack}
    for view in world.stack(user_id):
        if view.id not in staying:
            world.views.pop(view.id, None)
    world.stacks[user_id] = stack
    world.touch()


def check_view(world: World, content: Any, kind: str, *, but: View | None = None) -> Json:
    """The view's content, if it is valid, of the right kind and not already known by its external_id."""
    if not isinstance(content, dict):
        raise ApiError("invalid_arguments", **explained(["view must be an object [json-pointer:/view]"]))
    if len(str(content).encode()) > VIEW_BYTES_MAX:
        raise ApiError("view_too_large")
    problems = view_problems(content)
    if content.get("type") != kind:
        problems.append(f"must be of type {kind} [json-pointer:/view/type]")
    if problems:
        raise ApiError("invalid_arguments", **explained(problems))
    wanted = content.get("external_id")
    if wanted and any(view.content.get("external_id") == wanted for view in world.open_views() if view != but):
        raise ApiError("duplicate_external_id")
    return content


def _content(call: Call, kind: str, *, but: View | None = None) -> Json:
    return check_view(call.world, call.need("view"), kind, but=but)


def _trigger(call: Call) -> Trigger:
    """The trigger, used up: callers check the view first, so that an invalid one does not cost it."""
    trigger = call.world.use_trigger(str(call.need("trigger_id")))
    if isinstance(trigger, str):
        raise ApiError(trigger)
    return trigger


def _wanted_view(call: Call) -> View:
    external_id = call.args.get("external_id")
    wanted = call.args.get("view_id")
    if not external_id and not wanted:
        call.need("view_id")
    for view in call.world.open_views():
        if view.id == wanted or (external_id and view.content.get("external_id") == external_id):
            return view
    raise ApiError("not_found")


METHODS = {
    "views.open": Method(handler=open_view, tier=4),
    "views.push": Method(handler=push_view, tier=4),
    "views.update": Method(handler=update_view, tier=4),
    "views.publish": Method(handler=publish, tier=4),
}
