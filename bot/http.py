"""The HTTP side: health, metrics, the API, and Slack's requests when they come by HTTP.

It holds no state. ``/healthz`` says that the process lives; ``/readyz`` says what it needs and lacks. No request may
cost more memory than ``MOST_BYTES``, whoever sends it, and no refusal is anything but our own JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.api import status_for
from bot.logs import get_logger
from bot.slack_http import MOST_BYTES, harmless
from bot.views.text import visible
from engine.errors import Bug, RunbookError

log = get_logger("http")
BODY_SECONDS = 10.0  #: for the whole body to arrive; Slack's and a program's come at once
CODES = {401: "unauthenticated", 413: "too_large"}


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What must work for the product to serve; empty text means that it does."""

    database: Callable[[], str]
    slack: Callable[[], str]
    workers: Callable[[], str]

    def report(self) -> Mapping[str, str]:
        return {"database": self.database(), "slack": self.slack(), "workers": self.workers()}


def build_http(readiness: Readiness, registry: CollectorRegistry, routers: Sequence[APIRouter]) -> FastAPI:
    """Put the HTTP side together. The interactive documentation is off: it would load scripts from elsewhere."""
    app = FastAPI(
        title="Runbook Bot",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the address would come from a header of the request
    )
    for router in routers:
        app.include_router(router)

    @app.get("/healthz", tags=["health"])
    def healthz() -> dict[str, str]:
        """Say that the process lives."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    def readyz() -> JSONResponse:
        """Say whether database, Slack and workers are usable."""
        report = readiness.report()
        trouble = {name: text for name, text in report.items() if text}
        body = {"status": "unready" if trouble else "ready", "checks": {k: v or "ok" for k, v in report.items()}}
        return JSONResponse(body, status_code=503 if trouble else 200)

    @app.get("/metrics", tags=["health"])
    def metrics() -> PlainTextResponse:
        """Return the metrics in Prometheus' text format."""
        return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app.add_middleware(BodyLimit)
    _add_errors(app)
    return app


class BodyLimit:
    """Stops reading a request's body at the limit of size or time, before anything has parsed it."""

    def __init__(self, app: ASGIApp, *, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, whole, end = 0, False, anyio.current_time() + self._seconds

        async def counted() -> Message:
            nonlocal read, whole
            with anyio.CancelScope(deadline=float("inf") if whole else end) as patience:
                message = await receive()
            if patience.cancelled_caught:
                raise HTTPException(400, f"The request did not arrive whole within {self._seconds:g} s.")
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > MOST_BYTES:
                raise HTTPException(413, f"A request may have {MOST_BYTES // 1024} KiB at most.")
            return message

        await self._app(scope, counted, send)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RunbookError)
    def refused(_: Request, error: RunbookError) -> JSONResponse:
        if isinstance(error, Bug):
            log.error("bug", exc_info=error)
        return _problem(status_for(error), error.code, error.message, error.hint)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        _note(request, 400, "malformed")
        first = error.errors()[0]
        place = visible(".".join(str(part) for part in first["loc"]))
        return _problem(400, "invalid_input", f"{place}: {first['msg']}.", "See /api/v1/openapi.json.")

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        _note(request, error.status_code, error.detail)
        code = CODES.get(error.status_code, "http_error")
        return _problem(error.status_code, code, error.detail, "", headers=error.headers)


def _note(request: Request, status: int, reason: str) -> None:
    """Leave one harmless line about a request that never reached a use case; nothing of its body."""
    path = harmless(request.scope["path"])
    log.warning("http_request_rejected", status=status, reason=reason, method=request.method, path=path)


def _problem(
    status: int, code: str, message: str, hint: str, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {"code": code, "message": message, "hint": hint}
    return JSONResponse(body, status_code=status, headers=dict(headers) if headers else None)
