"""The page about the HTTP API names every route that the application has, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from slack_bolt import App
from slack_bolt.authorization import AuthorizeResult
from starlette.routing import BaseRoute

from bot.api import STATUS_FOR, build_router
from bot.http import CODES, Readiness, build_http
from bot.slack_http import Guard, slack_router
from engine.errors import Bug
from storage.database import Database, open_database
from tests.bot.works import Works
from tests.storage.databases import migrated_file

__all__ = ["migrated_file"]

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text(encoding="utf-8")
OPENAPI = ("GET", "/api/v1/openapi.json")


@pytest.fixture
def http(migrated_file: Path, tmp_path: Path) -> Iterator[FastAPI]:
    """The whole HTTP side, with Slack's requests."""
    database: Database = open_database(f"sqlite:///{migrated_file}")
    works = Works(database, tmp_path)
    bolt = App(
        signing_secret="0123456789abcdef",
        authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T", bot_token="xoxb-x"),
        token_verification_enabled=False,
    )
    readiness = Readiness(database=str, slack=str, workers=str)
    routers = [
        build_router(works.service, works.policy, works.ids, default_channel=""),
        slack_router(bolt, Guard("0123456789abcdef", works.clock)),
    ]
    yield build_http(readiness, CollectorRegistry(), routers)
    bolt.listener_runner.listener_executor.shutdown()
    database.close()


def routes(here: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in here:
        inner = getattr(route, "original_router", route)
        if inner is not route:
            yield from routes(inner.routes)
        else:
            yield from ((method, route.path) for method in route.methods - {"HEAD"})


def test_table_of_routes_is_that_of_the_application(http: FastAPI):
    told = re.findall(r"^\| `([A-Z]+) ([^`?]+)(?:\?[^`]*)?` \|", PAGE, re.MULTILINE)

    assert sorted(told) == sorted(set(routes(http.routes)) - {OPENAPI})
    assert OPENAPI[1] in PAGE


def test_every_status_of_a_refusal_is_told():
    sent = {code for kind, code in STATUS_FOR if kind is not Bug} | set(CODES)

    assert {code for code in sent if str(code) not in PAGE} == set()


def test_every_parameter_of_a_route_is_told(http: FastAPI):
    named = {
        parameter["name"]
        for methods in http.openapi()["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", [])
    }

    assert {name for name in named if name.lower() not in PAGE.lower()} == set()


def test_every_field_of_a_request_is_told(http: FastAPI):
    schemas = http.openapi()["components"]["schemas"]
    fields = {name for model in ("ExecuteIn", "DecisionIn", "CancelIn") for name in schemas[model]["properties"]}

    assert {name for name in fields if f'"{name}"' not in PAGE} == set()
