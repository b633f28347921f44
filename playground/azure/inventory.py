"""What surrounds the machines: operations, subscriptions, groups, providers, permissions and locks."""

from typing import Any

from playground.azure import errors
from playground.azure.platform import Answer, Call, Platform, Route
from playground.azure.rbac import inside

_SUB = "/subscriptions/{sub}"
_AUTHORIZATION = "/providers/Microsoft.Authorization"
_SCOPES = (
    _SUB,
    f"{_SUB}/resourceGroups/{{rg}}",
    f"{_SUB}/resourceGroups/{{rg}}/providers/Microsoft.Compute/virtualMachines/{{vm}}",
)


def operation(platform: Platform, call: Call) -> Answer:
    """Both flavours at one address: `monitor=true` answers with the bare result."""
    found = platform.operations.find(call.names["operation"], call.query)
    wait = {} if found.finished else platform.operations.retry_after()
    if "monitor" not in call.query:
        return Answer(body=platform.operations.body(found), headers=wait)
    if not found.finished:
        return Answer(status=202, headers={**wait, "Location": platform.operations.url(found, monitor=True)})
    if found.error is not None:
        raise errors.ArmError(409, found.error["code"], found.error["message"])
    return Answer(body=found.result)


def subscriptions(platform: Platform, call: Call) -> Answer:
    """Only those in which the caller has any assignment."""
    found = platform.estate.subscriptions.values()
    mine = [s.id for s in found if platform.access.effective(call.principal, f"/subscriptions/{s.id}")]
    return Answer(body={"value": [_subscription(platform, one) for one in mine]})


def subscription(platform: Platform, call: Call) -> Answer:
    return Answer(body=_subscription(platform, call.names["sub"]))


def _subscription(platform: Platform, name: str) -> dict[str, Any]:
    found = platform.estate.subscription(name)
    shown = {"id": f"/subscriptions/{found.id}", "subscriptionId": found.id, "displayName": found.name}
    return {**shown, "state": "Enabled", "tenantId": "00000000-0000-0000-0000-00000000aaaa"}


def groups(platform: Platform, call: Call) -> Answer:
    found = platform.estate.subscription(call.names["sub"])
    return Answer(body={"value": [_group(found.id, name) for name in found.groups.values()]})


def group(platform: Platform, call: Call) -> Answer:
    name = platform.estate.group(call.names["sub"], call.names["rg"])
    return Answer(body=_group(call.names["sub"], name))


def _group(subscription_id: str, name: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{subscription_id}/resourceGroups/{name}",
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": "westeurope",
        "properties": {"provisioningState": "Succeeded"},
    }


def provider(platform: Platform, call: Call) -> Answer:
    registered = platform.estate.subscription(call.names["sub"]).registered
    state = "Registered" if call.names["namespace"].lower() in registered else "NotRegistered"
    return _provider(call, state)


def register(platform: Platform, call: Call) -> Answer:
    """Takes a while, as it does in life: the state is Registering first."""
    registered = platform.estate.subscription(call.names["sub"]).registered
    platform.later(20.0, lambda: registered.add(call.names["namespace"].lower()))
    return _provider(call, "Registering")


def _provider(call: Call, state: str) -> Answer:
    namespace = call.names["namespace"]
    name = f"/subscriptions/{call.names['sub']}/providers/{namespace}"
    return Answer(body={"id": name, "namespace": namespace, "registrationState": state, "resourceTypes": []})


def permissions(platform: Platform, call: Call) -> Answer:
    _check_exists(platform, call)
    scope = call.path.split(_AUTHORIZATION, maxsplit=1)[0]
    found = platform.access.effective(call.principal, scope)
    value = [
        {"actions": a.actions, "notActions": a.not_actions, "dataActions": [], "notDataActions": []} for a in found
    ]
    return Answer(body={"value": value})


def locks(platform: Platform, call: Call) -> Answer:
    """Locks at the scope, above it and below it, as the real list shows them."""
    _check_exists(platform, call)
    scope = call.path.split(_AUTHORIZATION, maxsplit=1)[0]
    found = [k for k in platform.governance.locks if inside(scope, k.scope) or inside(k.scope, scope)]
    return Answer(body={"value": [_lock(k.scope, k.name, k.level) for k in found]})


def _lock(scope: str, name: str, level: str) -> dict[str, Any]:
    return {
        "id": f"{scope}{_AUTHORIZATION}/locks/{name}",
        "name": name,
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": level},
    }


def _check_exists(platform: Platform, call: Call) -> None:
    if "vm" in call.names:
        platform.estate.vm(call.names)


def _get(template: str, handler: Any, action: str | None, scope: str = _SUB) -> Route:
    return Route(method="GET", template=template, handler=handler, action=action, scope=scope)


_RESOURCES = "Microsoft.Resources/subscriptions"
ROUTES = (
    _get(
        f"{_SUB}/providers/Microsoft.Compute/locations/{{location}}/operations/{{operation}}",
        operation,
        "Microsoft.Compute/locations/operations/read",
    ),
    _get("/subscriptions", subscriptions, None, "/"),
    _get(_SUB, subscription, f"{_RESOURCES}/read"),
    _get(f"{_SUB}/resourceGroups", groups, f"{_RESOURCES}/resourceGroups/read"),
    _get(f"{_SUB}/resourceGroups/{{rg}}", group, f"{_RESOURCES}/resourceGroups/read", _SCOPES[1]),
    _get(f"{_SUB}/providers/{{namespace}}", provider, f"{_RESOURCES}/providers/read"),
    Route(
        method="POST",
        template=f"{_SUB}/providers/{{namespace}}/register",
        handler=register,
        action="Microsoft.Compute/register/action",
        scope=_SUB,
    ),
    *(
        _get(f"{s}{_AUTHORIZATION}/permissions", permissions, "Microsoft.Authorization/permissions/read", s)
        for s in _SCOPES
    ),
    *(_get(f"{s}{_AUTHORIZATION}/locks", locks, "Microsoft.Authorization/locks/read", s) for s in _SCOPES),
)
