"""Who is asked, whose answer counts, and which policy files are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.errors import InvalidInput, NotAllowed
from engine.model import Person, Phase, Risk
from engine.policy import Policy, eligible, require_reachable_quorum, tighten
from tests.builders import ALICE, BOB, CAROL, DAVE, an_actor, an_audience
from tests.policies import VERSION, a_policy, a_policy_file
from tests.strategies import asked, phases, policies, risks

CHECKS = {Phase.PRECHECK, Phase.POSTCHECK}


def asking(**changes: Any) -> dict[str, Any]:
    return {"approvers": ["operators"], **changes}


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "approvers",
    [None, [], [""], [" "], ["operatorz"], ["*"], ["@operators"], ["U"], ["everyone"], ["banana/U0BOB"], ["u0bob"]],
    ids=["null", "empty", "blank", "space", "unknown", "wildcard", "sign", "half", "word", "no-team", "lower"],
)
@pytest.mark.parametrize("place", ["default", "rule"])
def test_policy_without_real_approvers_is_refused(place: str, approvers: list[str] | None) -> None:
    """An empty or misspelt list never means everyone."""
    broken = asking(approvers=approvers)
    change = {"default": broken} if place == "default" else {"rules": [broken | {"name": "prod"}]}

    with pytest.raises((ValidationError, InvalidInput)):
        a_policy(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"default": {}},
        {"default": None},
        {"groups": {"operators": []}},
        {"groups": {"operators": ["leads"], "leads": ["U0DAVE"]}},
        {"groups": {"operators": [""]}},
        {"default": {"approvers": ["operators"], "quorum": 0}},
        {"default": {"approvers": ["operators"], "quorum": -1}},
        {"default": {"approvers": ["operators"], "quorum": 11}},
        {"default": {"approvers": ["operators"], "expires_minutes": 0}},
        {"default": {"approvers": ["operators"], "approver": ["leads"]}},
        {"rules": [{"approvers": ["operators"]}]},
        {"workspace": {"team": "home"}},
        {"unattended": {"risks": ["harmless"]}},
        {"tokens": [{"name": "ci", "sha256": "secret", "person": "U0BOB"}]},
    ],
)
def test_policy_file_that_is_malformed_is_refused_when_it_is_read(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_policy_file(**change)


def test_policy_without_a_default_is_refused() -> None:
    with pytest.raises(ValidationError, match="default"):
        Policy(document=type(a_policy_file()).model_validate({"workspace": {"team": "T0HOME"}}), version=VERSION)


def test_misspelt_group_is_named_with_the_groups_that_exist() -> None:
    with pytest.raises(InvalidInput) as refusal:
        a_policy(rules=[asking(name="prod", approvers=["operatorz"])])

    assert "rule prod names the approver 'operatorz'" in refusal.value.message
    assert "leads, operators" in refusal.value.hint


def test_policy_without_groups_says_so() -> None:
    with pytest.raises(InvalidInput, match="Known groups: none"):
        a_policy(groups={})


def test_quorum_above_the_number_of_different_people_is_refused() -> None:
    """Bob is named twice, but there is only one of him."""
    with pytest.raises(InvalidInput, match="asks for 3 approvals but names only 2 people"):
        a_policy(default=asking(approvers=["operators", "U0BOB", "T0HOME/U0CAROL"], quorum=3))


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Two rules of the policy are called 'prod'"):
        a_policy(rules=[asking(name="prod"), asking(name="prod")])


def test_two_people_with_one_token_are_refused() -> None:
    tokens = [{"name": name, "sha256": "a" * 64, "person": f"U0{name.upper()}"} for name in ("bob", "carol")]

    with pytest.raises(InvalidInput, match="'bob' has the same SHA-256 as another one"):
        a_policy(tokens=tokens)


# ---------------------------------------------------------------- people


def test_short_ids_belong_to_the_policys_workspace() -> None:
    policy = a_policy(workspace={"team": "T0HOME", "enterprise": "E0GRID"})

    assert policy.person("U0BOB") == Person(team="T0HOME", user="U0BOB", enterprise="E0GRID")
    assert policy.person("T0AWAY/U0BOB") == Person(team="T0AWAY", user="U0BOB", enterprise="E0GRID")
    assert policy.person("E0ELSE/T0AWAY/U0BOB") == Person(team="T0AWAY", user="U0BOB", enterprise="E0ELSE")


def test_groups_and_ids_resolve_to_different_people_in_a_stable_order() -> None:
    policy = a_policy()

    assert policy.people(["leads", "operators", "U0BOB"]) == (BOB, CAROL, DAVE)


# ---------------------------------------------------------------- which steps ask


@pytest.mark.parametrize("risk", Risk)
@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("wanted", [None, True, False], ids=["silent", "true", "false"])
def test_step_asks_as_the_truth_table_says(phase: Phase, risk: Risk, wanted: bool | None) -> None:
    """Unattended here: none and low. A main step must say so itself; a check must be read-only."""
    free = risk is Risk.NONE if phase in CHECKS else wanted is False and risk in {Risk.NONE, Risk.LOW}
    policy = a_policy(unattended={"risks": ["none", "low"]})

    assert policy.needs_approval(phase, risk, wanted) is not (free and wanted is not True)


@given(policy=policies(), risk=risks, wanted=asked, phase=phases)
def test_change_above_the_unattended_risks_asks_whatever_the_runbook_says(
    policy: Policy, risk: Risk, wanted: bool | None, phase: Phase
) -> None:
    """The predecessor gated harmless prechecks, and let destructive steps run because of a word that no file used."""
    gated = policy.needs_approval(phase, risk, wanted)

    if phase not in CHECKS and risk not in policy.document.unattended.risks:
        assert gated
    if phase in CHECKS and not gated:
        assert risk is Risk.NONE
    if wanted is True:
        assert gated


@given(policy=policies(), risk=risks, phase=phases)
def test_author_can_ask_for_more_approval_but_never_for_less(policy: Policy, risk: Risk, phase: Phase) -> None:
    silent, yes, no = (policy.needs_approval(phase, risk, wanted) for wanted in (None, True, False))

    assert yes >= silent >= no
    assert policy.needs_approval(Phase.MAIN, risk, None)


def test_read_only_precheck_runs_unattended_by_default() -> None:
    assert not a_policy().needs_approval(Phase.PRECHECK, Risk.NONE, None)


def test_only_harmless_changes_run_unattended_by_default() -> None:
    policy = a_policy()

    assert [risk for risk in Risk if not policy.needs_approval(Phase.MAIN, risk, False)] == [Risk.NONE]


# ---------------------------------------------------------------- who is asked


def test_first_rule_that_fits_decides_and_the_default_comes_last() -> None:
    policy = a_policy(
        rules=[
            asking(name="risky", approvers=["leads"], when={"risk": ["high"]}, requester_may_approve=True),
            asking(name="prod", quorum=2, when={"environment": ["prod"]}, expires_minutes=5),
            asking(name="web", when={"runbook": ["restart-web"], "environment": ["test"]}),
        ]
    )

    def rule_for(risk: Risk, runbook: str, environment: str) -> str:
        return policy.audience(risk=risk, runbook=runbook, environment=environment).rule

    assert rule_for(Risk.HIGH, "restart-web", "prod") == "risky"
    assert rule_for(Risk.LOW, "restart-web", "prod") == "prod"
    assert rule_for(Risk.LOW, "restart-web", "test") == "web"
    assert rule_for(Risk.LOW, "disk-report", "test") == "default"


def test_audience_carries_what_its_rule_asks_for() -> None:
    policy = a_policy(rules=[asking(name="prod", quorum=2, expires_minutes=5, requester_may_approve=True)])

    audience = policy.audience(risk=Risk.LOW, runbook="restart-web", environment="prod")

    assert (audience.approvers, audience.quorum, audience.lifetime_seconds) == ((BOB, CAROL), 2, 300)
    assert audience.requester_may_approve


@pytest.mark.parametrize(
    ("quorum", "expires", "wanted"),
    [(None, None, (2, 1800)), (3, 10, (3, 600)), (1, 60, (2, 1800)), (2, 30, (2, 1800))],
)
def test_runbook_can_only_tighten_what_the_policy_asks(
    quorum: int | None, expires: int | None, wanted: tuple[int, int]
) -> None:
    audience = an_audience(BOB, CAROL, DAVE, quorum=2)

    tight = tighten(audience, quorum=quorum, expires_minutes=expires)

    assert (tight.quorum, tight.lifetime_seconds) == wanted
    assert replace(tight, quorum=2, lifetime_seconds=1800) == audience


@given(quorum=st.none() | st.integers(1, 10), expires=st.none() | st.integers(1, 1440), own=st.integers(1, 10))
def test_tightening_never_loosens(quorum: int | None, expires: int | None, own: int) -> None:
    audience = an_audience(quorum=own)

    tight = tighten(audience, quorum=quorum, expires_minutes=expires)

    assert tight.quorum >= audience.quorum
    assert tight.lifetime_seconds <= audience.lifetime_seconds
    assert tight.requester_may_approve is audience.requester_may_approve


def test_requester_is_not_among_those_who_may_approve_unless_the_policy_says_so() -> None:
    audience = an_audience(ALICE, BOB)

    assert eligible(audience, an_actor(ALICE)) == (BOB,)
    assert eligible(replace(audience, requester_may_approve=True), an_actor(ALICE)) == (ALICE, BOB)


def test_policy_that_says_nothing_about_requesters_keeps_them_from_approving() -> None:
    asked = a_policy(rules=[asking(name="prod")]).document

    assert [asked.default.requester_may_approve, asked.rules[0].requester_may_approve] == [False, False]


def test_session_that_could_never_be_approved_does_not_begin() -> None:
    with pytest.raises(NotAllowed) as refusal:
        require_reachable_quorum(an_audience(ALICE, BOB, quorum=2), an_actor(ALICE), 3)

    assert "Step 3 needs 2 approvals, but only 1 people" in refusal.value.message
    assert "'default'" in refusal.value.hint


def test_session_that_can_be_approved_may_begin() -> None:
    require_reachable_quorum(an_audience(ALICE, BOB), an_actor(ALICE), 1)
