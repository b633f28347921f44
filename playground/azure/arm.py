"""The front door: who is calling, may they, is the request well formed, and only then the work.

The order of refusals is the cloud's. Faults of the wire are applied here and nowhere else, and every request
ends in the ledger, also one that never got an answer.
"""

import json
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from playground.azure import action_command, compute, errors, graph, inventory, power, run_commands
from playground.azure.buckets import GET_OPERATION
from playground.azure.errors import ArmError
from playground.azure.faults import Fault
from playground.azure.identity import Identity
from playground.azure.ledger import RequestRecord
from playground.azure.platform import Answer, Call, Platform, Route
from playground.azure.wire import Wire
from playground.headers import shown

_API_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
_OLDEST, _NEWEST = "2014-04-01", "2026-12-31"


@dataclass(kw_only=True)
class _Exchange:
    """One request on its way through the door."""

    method: str
    path: str
    query: dict[str, str]
    raw: bytes
    authorization: str | None
    correlation: str
    headers: dict[str, str]
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    began: float = field(default_factory=time.monotonic)
    principal: str | None = None
    code: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


class FrontDoor:
    def __init__(self, platform: Platform, identity: Identity) -> None:
        self._platform = platform
        self._identity = identity
        self._wire = Wire(platform)
        self._reads_left = 11_999
        self._writes_left = 1_199
        modules = (run_commands.ROUTES, action_command.ROUTES, power.ROUTES, compute.ROUTES, inventory.ROUTES)
        every = [route for routes in modules for route in routes]
        self._routes = [(_compile(r.template), r) for r in (*every, *graph.routes(graph.Graph()))]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        exchange = _Exchange(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            raw=await request.read(),
            authorization=request.headers.get("Authorization"),
            correlation=request.headers.get("x-ms-correlation-request-id") or str(uuid.uuid4()),
            headers=shown(request.headers),
        )
        fault = self._platform.faults.take("arm", exchange.method, exchange.path)
        answer = await self._answer(exchange, fault)
        headers = self._headers(exchange)
        return await self._wire.send(
            request,
            answer,
            fault=fault,
            headers=headers,
            done=lambda sent: self._record(exchange, answer, fault, sent=sent, reply_headers=headers),
        )

    async def _answer(self, exchange: _Exchange, fault: Fault | None) -> Answer | None:
        """None: a fault came before the work, which was therefore not done."""
        if fault is not None and not fault.after_work and fault.kind not in {"invisible", "slow"}:
            return None
        if fault is not None and fault.kind == "slow" and not fault.after_work:
            await self._wire.pause(fault.seconds)
        hidden = fault.seconds if fault is not None and fault.kind == "invisible" else 0.0
        try:
            return self._work(exchange, hidden)
        except ArmError as refused:
            exchange.code = refused.code
            return Answer(status=refused.status, body=refused.body(), headers=refused.headers)

    def _work(self, exchange: _Exchange, hidden: float) -> Answer:
        principal = self._identity.authenticate(exchange.authorization)
        exchange.principal = principal.client_id
        _check_api_version(exchange.query)
        route, names = self._match(exchange)
        call = Call(
            method=exchange.method,
            path=exchange.path,
            query=exchange.query,
            body=_parse(exchange.raw),
            names=names,
            principal=principal,
            invisible_for=hidden,
        )
        self._admit(route, call, exchange)
        answer = route.handler(self._platform, call)
        self._platform.changed()
        return answer

    def _match(self, exchange: _Exchange) -> tuple[Route, dict[str, str]]:
        path = exchange.path.rstrip("/") or "/"
        known = [(found, route) for pattern, route in self._routes if (found := pattern.fullmatch(path))]
        for found, route in known:
            if route.method == exchange.method:
                return route, found.groupdict()
        if known:
            message = f"The requested resource does not support http method '{exchange.method}'."
            raise ArmError(405, "HttpMethodNotAllowed", message)
        raise ArmError(404, "InvalidResourceType", f"The resource type could not be found for '{path}'.")

    def _admit(self, route: Route, call: Call, exchange: _Exchange) -> None:
        """Subscription, permission, provider, group, lock, policy, throttle: in this order."""
        platform, scope = self._platform, route.scope.format(**call.names)
        if "sub" in call.names:
            platform.estate.subscription(call.names["sub"])
        if route.action is not None:
            platform.access.check(call.principal, route.action, call.path if route.scope == route.template else scope)
        if "/providers/microsoft.compute/" in f"{call.path.lower()}/":
            self._check_registered(call)
        if "rg" in call.names:
            platform.estate.group(call.names["sub"], call.names["rg"])
        platform.governance.check_locks(call.method, call.path if call.method in {"PUT", "PATCH", "DELETE"} else scope)
        if call.method == "PUT":
            platform.governance.check_tags(call.path, _tags(call.body))
        self._throttle(route, call, exchange)

    def _check_registered(self, call: Call) -> None:
        registering = call.path.lower().endswith("/register") or call.path.lower().endswith("microsoft.compute")
        if (
            not registering
            and "microsoft.compute" not in self._platform.estate.subscription(call.names["sub"]).registered
        ):
            raise errors.not_registered("Microsoft.Compute")

    def _throttle(self, route: Route, call: Call, exchange: _Exchange) -> None:
        bucket, resource = route.bucket, None
        if "operation" in call.names:
            bucket, resource = (
                GET_OPERATION,
                self._platform.operations.find(call.names["operation"], call.query).resource,
            )
        elif "vm" in call.names:
            found = self._platform.estate.find(call.names["sub"], call.names["rg"], call.names["vm"])
            resource = found.key if found is not None else None
        if bucket is not None:
            left = self._platform.buckets.take(bucket, resource=resource, subscription=call.names["sub"])
            exchange.extra["x-ms-ratelimit-remaining-resource"] = left

    def _headers(self, exchange: _Exchange) -> dict[str, str]:
        kind = "reads" if exchange.method == "GET" else "deletes" if exchange.method == "DELETE" else "writes"
        if kind == "reads":
            self._reads_left = max(0, self._reads_left - 1)
        else:
            self._writes_left = max(0, self._writes_left - 1)
        left = self._reads_left if kind == "reads" else self._writes_left
        return {
            "x-ms-request-id": exchange.request_id,
            "x-ms-correlation-request-id": exchange.correlation,
            "x-ms-routing-request-id": f"WESTEUROPE:{exchange.request_id}",
            f"x-ms-ratelimit-remaining-subscription-{kind}": str(left),
            "x-ms-request-charge": "1",
            "Cache-Control": "no-cache",
            **exchange.extra,
        }

    def _record(
        self,
        exchange: _Exchange,
        answer: Answer | None,
        fault: Fault | None,
        *,
        sent: int | None,
        reply_headers: dict[str, str],
    ) -> None:
        body = _parse_or_text(exchange.raw)
        self._platform.ledger.record(
            RequestRecord(
                at=self._platform.clock.now(),
                method=exchange.method,
                path=exchange.path,
                query=exchange.query,
                principal=exchange.principal,
                body=body,
                script=_script(body),
                done=None if answer is None else answer.status,
                sent=sent,
                code=exchange.code if fault is None or fault.kind != "answer" else fault.code,
                fault=None if fault is None else fault.kind,
                correlation_id=exchange.correlation,
                request_id=exchange.request_id,
                seconds=time.monotonic() - exchange.began,
                headers=exchange.headers,
                reply=None if answer is None else answer.body,
                reply_headers={} if answer is None else reply_headers | answer.headers,
            )
        )


def _compile(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(text, re.IGNORECASE)


def _check_api_version(query: dict[str, str]) -> None:
    wanted = query.get("api-version")
    if not wanted:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message)
    if not _API_VERSION.fullmatch(wanted) or not _OLDEST <= wanted <= _NEWEST:
        known = "2026-04-01,2024-07-01,2022-04-01"
        message = f"The api-version '{wanted}' is invalid. The supported versions are '{known}'."
        raise ArmError(400, "InvalidApiVersionParameter", message)


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError as broken:
        message = f"The request content was invalid and could not be deserialized: '{broken}'."
        raise ArmError(400, "InvalidRequestContent", message) from broken


def _parse_or_text(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")


def _tags(body: Any) -> dict[str, str]:
    return dict(body.get("tags") or {}) if isinstance(body, dict) else {}


def _script(body: Any) -> str | None:
    """The script text of a managed PUT or an action POST."""
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("script"), list):
        return "\n".join(body["script"])
    source = (body.get("properties") or {}).get("source") or {}
    return source.get("script")
