"""Who may do what: principals, role assignments with wildcard actions, locks and required tags.

The front door asks here before any work is done. A missing rule always means no.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from playground.azure import errors

RUNNER_ACTIONS = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/instanceView/read",
    "Microsoft.Compute/virtualMachines/runCommands/read",
    "Microsoft.Compute/virtualMachines/runCommands/write",
    "Microsoft.Compute/virtualMachines/runCommands/delete",
    "Microsoft.Compute/virtualMachines/runCommand/action",
    "Microsoft.Compute/locations/operations/read",
    "Microsoft.Compute/locations/runCommands/read",
    "Microsoft.Authorization/permissions/read",
    "Microsoft.Authorization/locks/read",
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Resources/subscriptions/providers/read",
    "Microsoft.ResourceGraph/resources/read",
)
POWER_ACTIONS = tuple(
    f"Microsoft.Compute/virtualMachines/{verb}/action" for verb in ("start", "restart", "deallocate", "powerOff")
)


@dataclass(frozen=True)
class Principal:
    client_id: str
    object_id: str


@dataclass(kw_only=True)
class Assignment:
    object_id: str
    scope: str
    actions: list[str]
    not_actions: list[str] = field(default_factory=list)

    def covers(self, scope: str) -> bool:
        return self.scope == "/" or inside(scope, self.scope)

    def allows(self, action: str) -> bool:
        return matches(self.actions, action) and not matches(self.not_actions, action)


class AccessTable:
    """Role assignments; effective at the scope and below."""

    def __init__(self) -> None:
        self.assignments: list[Assignment] = []

    def grant(self, principal: Principal, actions: Iterable[str], scope: str) -> None:
        self.assignments.append(
            Assignment(object_id=principal.object_id, scope=scope.rstrip("/") or "/", actions=list(actions))
        )

    def revoke(self, principal: Principal, action: str, scope: str | None = None) -> None:
        """Take an action away from every assignment (or those at one scope), wildcards included."""
        for one in self.assignments:
            if one.object_id != principal.object_id or (scope and one.scope.lower() != scope.lower()):
                continue
            one.actions = [kept for kept in one.actions if kept.lower() != action.lower()]
            if one.allows(action):
                one.not_actions.append(action)

    def effective(self, principal: Principal, scope: str) -> list[Assignment]:
        return [a for a in self.assignments if a.object_id == principal.object_id and a.covers(scope)]

    def check(self, principal: Principal, action: str, scope: str) -> None:
        if not any(a.allows(action) for a in self.effective(principal, scope)):
            raise errors.forbidden(principal.client_id, principal.object_id, action=action, scope=scope)


@dataclass(frozen=True)
class Lock:
    scope: str
    level: str
    name: str = "playground-lock"


class Governance:
    """Locks and the one policy the playground knows: tags that every written resource must carry."""

    def __init__(self) -> None:
        self.locks: list[Lock] = []
        self.required_tags: dict[str, str] = {}

    def lock(self, scope: str, level: str) -> None:
        self.locks.append(Lock(scope.rstrip("/"), level))

    def unlock(self, scope: str) -> None:
        self.locks = [lock for lock in self.locks if lock.scope.lower() != scope.rstrip("/").lower()]

    def require_tag(self, tag: str, *, scope: str = "/") -> None:
        self.required_tags[tag] = scope

    def check_locks(self, method: str, scope: str) -> None:
        verb = "delete" if method == "DELETE" else "write"
        stopping = {"CanNotDelete", "ReadOnly"} if verb == "delete" else {"ReadOnly"}
        found = [lock.scope for lock in self.locks if lock.level in stopping and inside(scope, lock.scope)]
        if method != "GET" and found:
            raise errors.scope_locked(scope, verb, found)

    def check_tags(self, scope: str, tags: dict[str, str]) -> None:
        for tag, at in self.required_tags.items():
            if (at == "/" or inside(scope, at)) and tag.lower() not in {t.lower() for t in tags}:
                raise errors.disallowed_by_policy(scope.rsplit("/", 1)[-1], f"require-tag-{tag}")


def inside(scope: str, outer: str) -> bool:
    return f"{scope.lower()}/".startswith(f"{outer.lower()}/")


def matches(patterns: Iterable[str], action: str) -> bool:
    return any(_pattern(p.lower()).fullmatch(action.lower()) for p in patterns)


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")))
