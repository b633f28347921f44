"""How the tests call the HTTP API: a running application, bearer tokens, and the calls that everybody makes."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from bot.api import build_router
from bot.http import Readiness, build_http
from tests.bot.served import Front
from tests.bot.works import TOKENS, Works

AGENT = "/api/v1/agent"
OPENAPI = "/api/v1/openapi.json"
START = {"runbook": "restart-web", "vm": "local"}
YES = {"approve": True}
NO = {"approve": False, "notes": "Not now."}


def fine() -> str:
    return ""


def application(works: Works) -> FastAPI:
    readiness = Readiness(database=fine, slack=fine, workers=fine)
    router = build_router(works.service, works.policy, works.ids, default_channel="")
    return build_http(readiness, CollectorRegistry(), [router])


@pytest.fixture
def http(works: Works) -> FastAPI:
    return application(works)


@pytest.fixture
def api(http: FastAPI, front: Front, client: httpx.Client) -> httpx.Client:
    front.app = http
    return client


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def execute(api: httpx.Client, name: str = "alice", **changes):
    return api.post(f"{AGENT}/execute", json=START | changes, headers=bearer(name))


def decide(api: httpx.Client, session: int, step: int = 1, *, name: str = "bob", body: dict = YES):
    return api.post(f"{AGENT}/{session}/approve-step?step_number={step}", json=body, headers=bearer(name))


def look(api: httpx.Client, path: str):
    return api.get(f"{AGENT}{path}", headers=bearer("alice"))
