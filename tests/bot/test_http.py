"""Health, metrics and refusals of the HTTP side: honest, in JSON, without anything from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest
from fastapi import APIRouter
from structlog.testing import capture_logs

from bot.http import Readiness, build_http
from bot.metrics import Metrics
from engine.errors import Bug, Expired
from tests.bot.served import Front


@dataclass
class Trouble:
    """What does not work at the moment."""

    database: str = ""
    slack: str = ""
    workers: str = ""

    def readiness(self) -> Readiness:
        return Readiness(database=lambda: self.database, slack=lambda: self.slack, workers=lambda: self.workers)


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def site(trouble: Trouble, metrics: Metrics, front: Front, client: httpx.Client) -> httpx.Client:
    router = APIRouter()

    @router.get("/bug")
    def bug() -> None:
        raise Bug("An invariant broke.")

    @router.get("/late")
    def late() -> None:
        raise Expired(hint="Start again.")

    front.app = build_http(trouble.readiness(), metrics.registry, [router])
    return client


def test_process_that_lives_says_so_even_when_nothing_else_works(site: httpx.Client, trouble: Trouble):
    trouble.database = trouble.slack = trouble.workers = "away"

    assert (site.get("/healthz").status_code, site.get("/healthz").json()) == (200, {"status": "ok"})


def test_ready_process_says_that_all_is_well(site: httpx.Client):
    answer = site.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["checks"] == {"database": "ok", "slack": "ok", "workers": "ok"}


@pytest.mark.parametrize("name", ["database", "slack", "workers"])
def test_unready_process_names_what_is_missing(site: httpx.Client, trouble: Trouble, name: str):
    setattr(trouble, name, "It is away.")

    answer = site.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (503, "unready")
    assert answer.json()["checks"][name] == "It is away."
    assert list(answer.json()["checks"].values()).count("ok") == 2


def test_metrics_are_read_when_they_are_asked_for(site: httpx.Client, metrics: Metrics):
    rows = {"waiting_approval": 1.0}
    metrics.gauge("runbook_sessions", "Open sessions, by status", "status", lambda: rows)

    before = site.get("/metrics").text
    rows["waiting_approval"] = 7.0
    answer = site.get("/metrics")

    assert 'runbook_sessions{status="waiting_approval"} 1.0' in before
    assert 'runbook_sessions{status="waiting_approval"} 7.0' in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
def test_there_are_no_pages_that_load_scripts_from_elsewhere(site: httpx.Client, path: str):
    answer = site.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


def test_refusal_has_code_message_and_hint(site: httpx.Client):
    answer = site.get("/late")

    assert answer.status_code == 410
    assert answer.json() == {
        "code": "expired",
        "message": "The deadline of this approval has passed.",
        "hint": "Start again.",
    }


def test_defect_of_ours_is_a_500_that_is_logged_as_one(site: httpx.Client):
    with capture_logs() as lines:
        answer = site.get("/bug")

    assert (answer.status_code, answer.json()["code"]) == (500, "bug")
    assert [(line["event"], line["log_level"]) for line in lines] == [("bug", "error")]


def test_address_with_a_slash_too_many_is_unknown_and_sends_nobody_elsewhere(site: httpx.Client):
    answer = site.get("/late/", headers={"Host": "evil.example"})

    assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_refusal_leaves_one_harmless_line_in_the_log(site: httpx.Client):
    with capture_logs() as lines:
        site.get("/nowhere%0a%1b[31m")

    assert [(line["event"], line["status"], line["path"]) for line in lines] == [
        ("http_request_rejected", 404, "/nowhere\\n\\x1b[31m")
    ]


def test_no_answer_names_the_server_software_or_sets_a_cookie(site: httpx.Client):
    for path in ("/healthz", "/readyz", "/metrics", "/nowhere"):
        assert "set-cookie" not in site.get(path).headers
