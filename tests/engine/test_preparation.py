"""From a request to a frozen plan: one machine and no other, checked values, the right people, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidInput, NotAllowed, NotFound, Precondition
from engine.model import Place, SessionStatus, Shell
from engine.plan import digest_of
from engine.preparation import Preparation, StartRequest
from storage.catalog import FileCatalog
from tests.builders import BOB, CAROL, NOW, WEB, an_actor
from tests.engine.crew import RUNBOOK
from tests.fakes.machines import Machines
from tests.policies import a_policy
from tests.storage.builders import FixedClock

TWIN = replace(WEB, id=WEB.id.replace("rg-prod", "rg-test"), group="rg-test")
WEB_10 = replace(WEB, id=WEB.id.replace("web-1", "web-10"), name="web-10")
LOCAL = replace(WEB, connector="local", id="local", name="local", group="", fingerprint="")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "restart-web.yaml").write_text(RUNBOOK, encoding="utf-8")
    return tmp_path


def prepares(folder: Path, machines: Machines, *, local: Machines | None = None, **policy: Any) -> Preparation:
    connectors = {"azure": machines} | ({"local": local} if local else {})
    return Preparation(catalog=FileCatalog(folder), policy=a_policy(**policy), connectors=connectors)


def machines_of(*targets: Any) -> Machines:
    return Machines(FixedClock(NOW), *targets)


def a_request(**changes: Any) -> StartRequest:
    facts: dict[str, Any] = {"key": "k", "runbook": "restart-web", "actor": an_actor(), "vm": "web-1"}
    return StartRequest(**(facts | changes))


@pytest.mark.parametrize("place", [None, Place(team="T0HOME", channel="C0OPS")])
def test_request_survives_its_way_through_the_inbox(place: Place | None) -> None:
    request = a_request(values={"word": "hi", "vm": "odd"}, ticket="INC-1", place=place, response_url="https://x")

    assert StartRequest.from_payload(request.to_payload()) == request


@pytest.mark.parametrize("selector", ["web-1", "WEB-1", "rg-prod/web-1", WEB.id, WEB.id.upper()])
def test_one_machine_is_pinned_by_its_full_id_and_fingerprint(folder: Path, selector: str) -> None:
    plan = prepares(folder, machines_of(WEB, WEB_10)).plan(a_request(vm=selector)).plan

    assert plan.target == WEB


def test_name_that_fits_several_machines_is_answered_with_the_candidates(folder: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        prepares(folder, machines_of(WEB, TWIN)).plan(a_request())

    assert "rg-prod/web-1" in refused.value.message
    assert "rg-test/web-1" in refused.value.message


@pytest.mark.parametrize("selector", ["web", "web-11", "eb-1", "rg-prod/*", "HTTP500"])
def test_name_that_fits_no_machine_exactly_is_refused(folder: Path, selector: str) -> None:
    with pytest.raises(NotFound, match="no VM"):
        prepares(folder, machines_of(WEB, WEB_10)).plan(a_request(vm=selector))


def test_unknown_machine_never_falls_back_to_the_bots_own_host(folder: Path) -> None:
    local = machines_of(LOCAL)

    with pytest.raises(NotFound):
        prepares(folder, machines_of(WEB), local=local).plan(a_request(vm="web-77"))

    assert prepares(folder, machines_of(WEB), local=local).plan(a_request(vm="local")).plan.target == LOCAL


def test_local_host_is_out_of_reach_unless_it_was_switched_on(folder: Path) -> None:
    with pytest.raises(NotFound, match="Nothing here can reach"):
        prepares(folder, machines_of(WEB)).plan(a_request(vm="local"))


def test_request_without_a_machine_is_refused_with_the_way_to_name_one(folder: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        prepares(folder, machines_of(WEB)).plan(a_request(vm=""))

    assert "vm=" in refused.value.hint


def test_runbook_for_one_named_machine_needs_no_other_word(folder: Path) -> None:
    (folder / "restart-web.yaml").write_text(RUNBOOK.replace("targets: any", "targets: [rg-prod/web-1]"))

    assert prepares(folder, machines_of(WEB, TWIN)).plan(a_request(vm="")).plan.target == WEB


@pytest.mark.parametrize("targets", ["[web-*]", "[web-1, web-10]"])
def test_runbook_for_several_machines_never_chooses_one(folder: Path, targets: str) -> None:
    (folder / "restart-web.yaml").write_text(RUNBOOK.replace("targets: any", f"targets: {targets}"))

    with pytest.raises(InvalidInput, match="where to run"):
        prepares(folder, machines_of(WEB, WEB_10)).plan(a_request(vm=""))


def test_machine_with_another_operating_system_is_refused_before_anybody_is_asked(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="runs windows"):
        prepares(folder, machines_of(replace(WEB, os="windows"))).plan(a_request())


def test_unknown_runbook_and_wrong_value_are_refused(folder: Path) -> None:
    preparation = prepares(folder, machines_of(WEB))

    with pytest.raises(NotFound):
        preparation.plan(a_request(runbook="restart-wep"))
    with pytest.raises(InvalidInput, match="word"):
        preparation.plan(a_request(values={"word": "$(reboot)"}))
    with pytest.raises(InvalidInput):
        preparation.plan(a_request(values={"wrod": "hi"}))


def test_each_gated_step_is_asked_of_the_people_of_its_rule(folder: Path) -> None:
    leads = {"name": "leads", "approvers": ["leads"], "when": {"risk": ["low"]}}

    by_default = prepares(folder, machines_of(WEB)).plan(a_request()).audiences
    by_rule = prepares(folder, machines_of(WEB), rules=[leads]).plan(a_request()).audiences

    assert [(n, a.approvers) for n, a in by_default.items()] == [(1, (BOB, CAROL))]
    assert [(n, a.rule) for n, a in by_rule.items()] == [(1, "leads")]


def test_runbook_may_ask_for_more_people_and_less_time_than_the_policy(folder: Path) -> None:
    strict = RUNBOOK.replace("targets: any", "targets: any\napproval: {quorum: 2, expires: 10}")
    (folder / "restart-web.yaml").write_text(strict)

    audience = prepares(folder, machines_of(WEB)).plan(a_request()).audiences[1]

    assert (audience.quorum, audience.lifetime_seconds) == (2, 600)


def test_draft_freezes_the_plan_with_its_digest(folder: Path) -> None:
    session = prepares(folder, machines_of(WEB)).draft(a_request(ticket="INC-7"), nonce="ab", now=NOW)

    assert session.digest == digest_of(session.plan)
    assert (session.status, session.ticket, session.nonce) == (SessionStatus.PENDING, "INC-7", "ab")
    assert [step.audience is not None for step in session.steps] == [True, False]


def test_later_edit_of_the_file_does_not_reach_a_plan(folder: Path) -> None:
    preparation = prepares(folder, machines_of(WEB))
    frozen = preparation.plan(a_request()).plan

    (folder / "restart-web.yaml").write_text(RUNBOOK.replace("echo $word", "echo $word again"))
    later = preparation.plan(a_request()).plan

    assert digest_of(frozen) != digest_of(later)
    assert frozen.runbook_digest != later.runbook_digest
    assert "again" not in frozen.steps[0].script


def test_session_whose_quorum_nobody_can_reach_does_not_begin(folder: Path) -> None:
    alone = {"approvers": ["U0ALICE", "U0BOB"], "quorum": 2}

    with pytest.raises(NotAllowed, match="needs 2 approvals, but only 1"):
        prepares(folder, machines_of(WEB), default=alone).draft(a_request(), nonce="ab", now=NOW)


@pytest.mark.parametrize("power", ["stopped", "deallocated"])
def test_machine_that_cannot_run_a_command_is_refused_with_the_remedy(folder: Path, power: str) -> None:
    machines = machines_of(WEB)
    machines.power[WEB.id] = power

    with pytest.raises(Precondition) as refused:
        prepares(folder, machines).draft(a_request(), nonce="ab", now=NOW)

    assert (power in refused.value.message, refused.value.hint) == (True, "Start it first.")


def test_looking_at_a_plan_runs_nothing_and_does_not_need_a_running_machine(folder: Path) -> None:
    machines = machines_of(WEB)
    machines.power[WEB.id] = "stopped"

    prepares(folder, machines).plan(a_request())

    assert machines.submitted == []


def test_session_that_begins_by_hand_does_not_need_a_running_machine(folder: Path) -> None:
    by_hand = RUNBOOK.replace(
        "steps:\n", "steps:\n  - name: Start it\n    type: manual\n    run: Start the VM in the portal.\n", 1
    )
    (folder / "restart-web.yaml").write_text(by_hand)
    machines = machines_of(WEB)
    machines.power[WEB.id] = "stopped"

    session = prepares(folder, machines).draft(a_request(), nonce="ab", now=NOW)

    assert session.steps[0].audience is not None


def test_connector_that_is_switched_off_is_named(folder: Path) -> None:
    preparation = Preparation(catalog=FileCatalog(folder), policy=a_policy(), connectors={})

    with pytest.raises(Precondition, match="'azure' is not switched on"):
        preparation.require_ready(WEB, Shell.BASH)
