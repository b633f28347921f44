"""Long-running operations: two ways to follow one, with signed addresses of several kilobytes that expire.

The address is the only key to an operation, and it is worthless after `operation_life`.
"""

import base64
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playground.azure import errors
from playground.azure.clock import Clock, Timings, stamp

API_VERSION = "2026-04-01"
FLAVOURS = ("both", "async", "location")


@dataclass(kw_only=True)
class Operation:
    subscription: str
    location: str
    resource: str
    created: float
    start_time: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    signature: str = field(default_factory=lambda: secrets.token_urlsafe(256))
    certificate: str = field(default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(1900)).decode())
    status: str = "InProgress"
    end_time: str | None = None
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        return self.status != "InProgress"


class Operations:
    """The table of operations, and the headers that lead to them."""

    def __init__(self, clock: Clock, timings: Timings, changed: Callable[[], None]) -> None:
        self._clock = clock
        self._timings = timings
        self._changed = changed
        self._table: dict[str, Operation] = {}
        self.base_url = ""
        self.flavour = "both"

    def start(self, *, subscription: str, location: str, resource: str) -> Operation:
        created = Operation(
            subscription=subscription,
            location=location,
            resource=resource.lower(),
            created=self._clock.platform(),
            start_time=stamp(self._clock.now()),
        )
        self._table[created.id] = created
        return created

    def succeed(self, operation: Operation | None, result: dict[str, Any] | None = None) -> None:
        if operation is not None and not operation.finished:
            operation.result = result
            self._end(operation, "Succeeded")

    def fail(self, operation: Operation | None, code: str, message: str) -> None:
        if operation is not None and not operation.finished:
            operation.error = {"code": code, "message": message}
            self._end(operation, "Failed")

    def _end(self, operation: Operation, status: str) -> None:
        operation.status = status
        operation.end_time = stamp(self._clock.now())
        self._changed()

    def find(self, operation_id: str, query: dict[str, str]) -> Operation:
        found = self._table.get(operation_id)
        gone = found is None or self._clock.platform() - found.created > self._timings.operation_life
        if found is None or gone or query.get("s") != found.signature:
            raise errors.ArmError(404, "NotFound", f"The operation '{operation_id}' was not found or has expired.")
        return found

    def retry_after(self) -> dict[str, str]:
        return {"Retry-After": str(self._clock.retry_after(self._timings.retry_after))}

    def headers(self, operation: Operation) -> dict[str, str]:
        headers = self.retry_after()
        if self.flavour != "location":
            headers["Azure-AsyncOperation"] = self.url(operation)
        if self.flavour != "async":
            headers["Location"] = self.url(operation, monitor=True)
        return headers

    def url(self, operation: Operation, *, monitor: bool = False) -> str:
        flag = "&monitor=true" if monitor else ""
        return (
            f"{self.base_url}/subscriptions/{operation.subscription}/providers/Microsoft.Compute/locations/"
            f"{operation.location}/operations/{operation.id}?p={uuid.UUID(operation.id)}{flag}"
            f"&api-version={API_VERSION}&t=638000000000000000&c={operation.certificate.rstrip('=')}"
            f"&s={operation.signature}&h={operation.signature[:43]}"
        )

    @staticmethod
    def body(operation: Operation) -> dict[str, Any]:
        body: dict[str, Any] = {
            "startTime": operation.start_time,
            "status": operation.status,
            "name": operation.id,
        }
        if operation.end_time is not None:
            body["endTime"] = operation.end_time
        if operation.error is not None:
            body["error"] = operation.error
        if operation.result is not None:
            body["properties"] = {"output": operation.result}
        return body
