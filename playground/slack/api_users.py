"""Who is who: `auth.test`, `users.*`, `usergroups.*`, `team.info`, `bots.info`, and workflow step results.

Addresses of people are shown only with their scope; user groups exist on paid plans only.
"""

from playground.slack.api import ApiError, Call, Method
from playground.slack.blocks import Json
from playground.slack.model import APP_ID, BOT_ID, BOT_USER_ID, OTHER_TEAM_ID, TEAM_ID, User, UserGroup
from playground.slack.state import Execution


def auth_test(call: Call) -> Json:
    return {
        "url": call.base_url.removesuffix("api/"),
        "team": "Demo",
        "user": call.world.users[BOT_USER_ID].name,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def user_info(call: Call) -> Json:
    user = call.world.users.get(str(call.need("user")))
    if user is None:
        raise ApiError("user_not_found")
    record = user.as_json(with_email=_may_see_email(call))
    return {"user": record | ({"is_stranger": _is_stranger(call, user)} if user.is_outsider else {})}


def _is_stranger(call: Call, user: User) -> bool:
    """Somebody of another workspace who is in no channel that the bot sees is a stranger; the others are not."""
    return not any(call.is_member(channel) and user.id in channel.members for channel in call.world.channels.values())


def user_list(call: Call) -> Json:
    page, cursor = call.page(list(call.world.users.values()))
    shown = [user.as_json(with_email=_may_see_email(call)) for user in page]
    return {"members": shown, "cache_ts": int(call.world.clock.now()), "response_metadata": cursor}


def lookup_by_email(call: Call) -> Json:
    wanted = str(call.need("email")).lower()
    for user in call.world.users.values():
        if user.email == wanted and not (user.is_bot or user.deleted):
            return {"user": user.as_json(with_email=True)}
    raise ApiError("users_not_found")


def _may_see_email(call: Call) -> bool:
    return "users:read.email" in call.world.app.scopes


def group_list(call: Call) -> Json:
    _paid(call)
    groups = [group for group in call.world.groups.values() if group.enabled or call.flag("include_disabled")]
    return {"usergroups": [group.as_json(include_users=call.flag("include_users")) for group in groups]}


def group_users(call: Call) -> Json:
    _paid(call)
    group = call.world.groups.get(str(call.need("usergroup")))
    if group is None or not (group.enabled or call.flag("include_disabled")):
        raise ApiError("no_such_subteam")
    return {"users": _active_members(call, group)}


def _active_members(call: Call, group: UserGroup) -> list[str]:
    return [member for member in group.members if not call.world.users[member].deleted]


def _paid(call: Call) -> None:
    if not call.world.paid_plan:
        raise ApiError("plan_upgrade_required")


def team_info(call: Call) -> Json:
    wanted = str(call.args.get("team") or TEAM_ID)
    if wanted not in {TEAM_ID, OTHER_TEAM_ID}:
        raise ApiError("team_not_found")
    name = "Demo" if wanted == TEAM_ID else "Other"
    domain = f"{name.lower()}-playground"
    return {"team": {"id": wanted, "name": name, "domain": domain, "email_domain": "", "icon": {}}}


def bot_info(call: Call) -> Json:
    if call.args.get("bot", BOT_ID) != BOT_ID:
        raise ApiError("bot_not_found")
    user = call.world.users[BOT_USER_ID]
    record = {"id": BOT_ID, "app_id": APP_ID, "user_id": user.id, "name": user.name, "deleted": False}
    return {"bot": record | {"updated": 1_700_000_000, "icons": {}}}


def complete_success(call: Call) -> Json:
    execution = _running(call)
    outputs = call.need("outputs")
    if not isinstance(outputs, dict):
        raise ApiError("parameter_validation_failed")
    execution.state, execution.outputs = "completed", outputs
    call.world.touch()
    return {}


def complete_error(call: Call) -> Json:
    execution = _running(call)
    execution.state, execution.error = "failed", str(call.need("error"))
    call.world.touch()
    return {}


def _running(call: Call) -> Execution:
    execution = call.world.executions.get(str(call.need("function_execution_id")))
    if execution is None:
        raise ApiError("function_execution_not_found")
    if execution.state != "running":
        raise ApiError("execution_not_in_running_state")
    return execution


METHODS = {
    "auth.test": Method(handler=auth_test),
    "users.info": Method(handler=user_info, scopes=("users:read",), tier=4),
    "users.list": Method(handler=user_list, scopes=("users:read",), tier=2),
    "users.lookupByEmail": Method(handler=lookup_by_email, scopes=("users:read.email",), tier=3),
    "usergroups.list": Method(handler=group_list, scopes=("usergroups:read",), tier=2),
    "usergroups.users.list": Method(handler=group_users, scopes=("usergroups:read",), tier=2),
    "team.info": Method(handler=team_info, scopes=("team:read",), tier=3),
    "bots.info": Method(handler=bot_info, scopes=("users:read",), tier=3),
    "functions.completeSuccess": Method(handler=complete_success, tier=3),
    "functions.completeError": Method(handler=complete_error, tier=3),
}
