"""Resource Graph, as far as an inventory of virtual machines needs it: late by design, and small in grammar.

Rows are a snapshot that lags behind the truth. A query outside the grammar is refused, never half answered.
"""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playground.azure import errors
from playground.azure.compute import shape, view
from playground.azure.platform import Answer, Call, Platform, Route

Row = dict[str, Any]
_QUOTA = 15
_WINDOW = 5.0
_STRING = r"['\"]([^'\"]*)['\"]"
_CONDITION = re.compile(rf"\s*([\w.]+|tostring\([\w.]+\))\s*(==|=~|!=|!~|contains|startswith)\s*{_STRING}\s*")
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "=~": lambda a, b: a.lower() == b.lower(),
    "!~": lambda a, b: a.lower() != b.lower(),
    "contains": lambda a, b: b.lower() in a.lower(),
    "startswith": lambda a, b: a.lower().startswith(b.lower()),
}


@dataclass
class _Snapshot:
    taken: float = float("-inf")
    rows: list[Row] = field(default_factory=list)


class Graph:
    """Holds the lagging snapshot and each caller's quota."""

    def __init__(self) -> None:
        self._snapshot = _Snapshot()
        self._asked: dict[str, list[float]] = {}

    def query(self, platform: Platform, call: Call) -> Answer:
        left = self._spend(platform, call.principal.object_id)
        body = call.body if isinstance(call.body, dict) else {}
        wanted = {str(one).lower() for one in body.get("subscriptions") or platform.estate.subscriptions}
        rows = [row for row in self._rows(platform) if row["subscriptionId"].lower() in wanted]
        readable = [row for row in rows if _readable(platform, call, row)]
        found = run(str(body.get("query", "")), readable)
        table = str((body.get("options") or {}).get("resultFormat", "objectArray")).lower() == "table"
        shown = {"totalRecords": len(found), "count": len(found), "resultTruncated": "false", "facets": []}
        headers = {"x-ms-user-quota-remaining": str(left), "x-ms-user-quota-resets-after": "00:00:05"}
        return Answer(body={**shown, "data": _table(found) if table else found}, headers=headers)

    def _spend(self, platform: Platform, caller: str) -> int:
        now = platform.clock.platform()
        recent = [at for at in self._asked.get(caller, []) if now - at < _WINDOW]
        if len(recent) >= _QUOTA:
            headers = {
                "Retry-After": str(platform.clock.retry_after(_WINDOW)),
                "x-ms-user-quota-remaining": "0",
            }
            raise errors.ArmError(
                429, "RateLimiting", "Please provide below info when asking for support.", headers=headers
            )
        self._asked[caller] = [*recent, now]
        return _QUOTA - len(recent) - 1

    def _rows(self, platform: Platform) -> list[Row]:
        now = platform.clock.platform()
        if now - self._snapshot.taken > platform.timings.graph_lag:
            rows = [_row(platform, vm) for vm in platform.estate.vms.values()]
            self._snapshot = _Snapshot(now, copy.deepcopy(rows))
        return self._snapshot.rows


def _row(platform: Platform, vm: Any) -> Row:
    row = shape(platform, vm, expand=False)
    power = view(platform, vm)["statuses"][1]
    row["properties"]["extended"] = {"instanceView": {"powerState": power}}
    extra = {
        "resourceGroup": vm.group.lower(),
        "subscriptionId": vm.subscription,
        "type": row["type"].lower(),
    }
    return {**row, **extra, "kind": ""}


def _readable(platform: Platform, call: Call, row: Row) -> bool:
    effective = platform.access.effective(call.principal, row["id"])
    return any(one.allows("Microsoft.Compute/virtualMachines/read") for one in effective)


def _table(rows: list[Row]) -> dict[str, Any]:
    names = list(rows[0]) if rows else []
    columns = [{"name": name, "type": "string"} for name in names]
    return {"columns": columns, "rows": [[row.get(name) for name in names] for row in rows]}


def run(query: str, rows: list[Row]) -> list[Row]:
    """Resources | where … | project … | order by … | limit n."""
    source, *stages = [part.strip() for part in query.split("|")]
    if source.lower() != "resources":
        raise _invalid(query)
    for stage in stages:
        verb, _, rest = stage.partition(" ")
        rows = _stage(verb.lower(), rest.strip(), rows, query)
    return rows


def _stage(verb: str, rest: str, rows: list[Row], query: str) -> list[Row]:
    if verb == "where":
        return [row for row in rows if all(_holds(row, part, query) for part in re.split(r"\s+and\s+", rest))]
    if verb == "project":
        return [_project(row, rest) for row in rows]
    if verb in {"order", "sort"}:
        path, _, direction = rest.removeprefix("by ").strip().partition(" ")
        return sorted(rows, key=lambda row: str(_value(row, path) or ""), reverse=direction.strip() != "asc")
    if verb in {"limit", "take"} and rest.isdigit():
        return rows[: int(rest)]
    raise _invalid(query)


def _holds(row: Row, condition: str, query: str) -> bool:
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise _invalid(query)
    path, operator, literal = found.groups()
    return _COMPARE[operator](str(_value(row, path) or ""), literal)


def _project(row: Row, columns: str) -> Row:
    named = {}
    for column in columns.split(","):
        alias, equals, path = column.strip().partition("=")
        wanted = path.strip() if equals else alias.strip()
        name = alias.strip() if equals else wanted.replace(".", "_")
        named[name] = _value(row, wanted)
    return named


def _value(row: Row, path: str) -> Any:
    """A dotted path, without regard to case; what is not there is null."""
    value: Any = row
    for part in path.removeprefix("tostring(").removesuffix(")").split("."):
        found = {key.lower(): inner for key, inner in value.items()} if isinstance(value, dict) else {}
        value = found.get(part.lower())
    return value


def _invalid(query: str) -> errors.ArmError:
    details = [{"code": "InvalidQuery", "message": f"Query is invalid: {query[:200]}"}]
    return errors.ArmError(
        400, "BadRequest", "Please provide below info when asking for support.", extra={"details": details}
    )


def routes(graph: Graph) -> tuple[Route, ...]:
    template = "/providers/Microsoft.ResourceGraph/resources"
    return (Route(method="POST", template=template, handler=graph.query, action=None, scope="/"),)
