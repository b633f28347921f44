"""The HTTP side: health, metrics, the API, and Slack's requests when they come by HTTP.

It holds no state. ``/healthz`` says that the process lives; ``/readyz`` says what it needs and lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException

from bot.api import status_for
from bot.logs import get_logger
from engine.errors import RunbookError

log = get_logger("http")


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
    app = FastAPI(title="Runbook Bot", version="1", openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None)
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

    _add_errors(app)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RunbookError)
    def refused(_: Request, error: RunbookError) -> JSONResponse:
        return _problem(status_for(error), error.code, error.message, error.hint)

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return _problem(400, "invalid_input", f"{place}: {first['msg']}.", "See /api/v1/openapi.json.")

    @app.exception_handler(HTTPException)
    def other(_: Request, error: HTTPException) -> JSONResponse:
        code = "unauthenticated" if error.status_code == 401 else "http_error"
        return _problem(error.status_code, code, error.detail, "", headers=error.headers)


def _problem(
    status: int, code: str, message: str, hint: str, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {"code": code, "message": message, "hint": hint}
    return JSONResponse(body, status_code=status, headers=dict(headers) if headers else None)
