"""Machines that cannot be used now: people are told why and what to do, and nothing runs on the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from playground.azure.machine import Machine
from playground.azure.rbac import POWER_ACTIONS, RUNNER_ACTIONS
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows

READ = "Microsoft.Compute/virtualMachines/read"
WRITE = "Microsoft.Compute/virtualMachines/runCommands/write"


@pytest.fixture
def batch(stage: Stage) -> Iterator[str]:
    """A machine that sleeps, and sleeps again afterwards."""
    yield "rg-staging/batch-01"
    stage.cloud.vm("rg-staging/batch-01").deallocate()


@pytest.fixture
def rights(stage: Stage) -> Iterator[None]:
    """All rights again afterwards."""
    yield
    stage.cloud.grant([*RUNNER_ACTIONS, *POWER_ACTIONS], scope=f"/subscriptions/{stage.cloud.subscription}")


def wake(stage: Stage, vm: Machine) -> None:
    """Start a machine and wait until its agent has been heard of."""
    before = vm._vm.heartbeat
    vm.start()
    stage.cloud.wait_for(lambda: vm._vm.heartbeat != before)


def refused(scene: Scene, rows: Rows, line: str, *words: str) -> str:
    """Ask for a session that must not begin; return what the requester reads."""
    before = rows.count("execution_sessions")
    scene.asks("alice", line)
    told = scene.told("alice", *words)
    assert rows.count("execution_sessions") == before
    assert not scene.stage.slack.channel(scene.channel).messages()
    return told


def test_stopped_machine_is_refused_before_anybody_is_asked(scene: Scene, rows: Rows, batch: str):
    """Predecessor A12: commands went to a deallocated machine and only a log said so."""
    told = refused(scene, rows, f"/runbook execute one-change vm={batch}", "deallocated")

    assert "Start the machine" in told


def test_ambiguous_name_is_answered_with_the_candidates(scene: Scene, rows: Rows):
    """Predecessor X32: the first machine of that name in any resource group was taken."""
    told = refused(scene, rows, "/runbook execute one-change vm=web-02", "could be any of")

    assert "rg-prod/web-02" in told
    assert "rg-staging/web-02" in told


def test_unknown_machine_is_named_and_nothing_else_is_taken(scene: Scene, rows: Rows):
    """Predecessor X31: commands for an unknown machine ran on the bot's own host."""
    told = refused(scene, rows, "/runbook execute one-change vm=web-1", "web-1")

    assert "no VM" in told


def test_machine_of_another_system_is_refused(scene: Scene, rows: Rows):
    """Predecessor A25: bash went to Windows."""
    told = refused(scene, rows, "/runbook execute one-change vm=win-01", "linux")

    assert "windows" in told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/runbook execute one-chance vm=rg-prod/web-01", ("one-change",)),
        ("/runbook execute one-change vm=rg-prod/web-01 wrod=x", ("wrod", "word")),
        ("/runbook execute waits-for-go vm=rg-prod/web-01", ("flag",)),
        ("/runbook execute waits-for-go vm=rg-prod/web-01 flag=$(id)", ("flag", "pattern")),
        ("/runbook execute prints vm=rg-prod/web-01 what=lnog", ("what", "long")),
        ("/runbook exceute one-change vm=rg-prod/web-01", ("execute",)),
        ("/runbook execute one-change", ("vm=",)),
    ],
)
def test_misspelt_command_is_answered_with_what_was_meant(scene: Scene, rows: Rows, line: str, words: tuple[str, ...]):
    """Predecessor A13: a button that did nothing, because its list was empty."""
    refused(scene, rows, line, *words)


def test_machine_stopped_after_the_approval_needs_a_person_and_a_retry_needs_a_new_approval(
    scene: Scene, rows: Rows, batch: str
):
    """Predecessor A12, and the half of it that a check at the start cannot see."""
    vm = scene.stage.cloud.vm(batch)
    wake(scene.stage, vm)
    scene.executes("alice", f"/runbook execute one-change vm={batch} word=retried")
    first = scene.gate()
    vm.stop()

    scene.clicks("bob", first, APPROVE)
    trouble = scene.offers("Retry")
    before = [m.ts for m in scene.thread() if APPROVE in m.buttons()]
    puts = scene.stage.cloud.ledger.requests(method="PUT", path_contains=f"{vm.id}/runcommands/")
    wake(scene.stage, vm)
    scene.clicks("bob", trouble, "Retry")
    scene.gives_reason("bob", "It is started again.")
    second = scene.gate()
    scene.clicks("bob", second, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert {"Retry", "Stop"} <= set(trouble.buttons())
    assert "stopped" in trouble.plain()
    assert not before
    assert not puts
    assert second.ts != first.ts
    assert [line.split()[-1] for line in vm.effects()] == ["retried"]
    assert scene.closed(trouble)


def test_machine_made_again_under_the_same_name_is_not_touched(scene: Scene, rows: Rows):
    vm = scene.stage.cloud.vm("rg-staging/web-02")
    scene.executes("alice", "/runbook execute one-change vm=rg-staging/web-02 word=never")
    gate = scene.gate()
    vm.recreate()

    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("deleted and made again")

    assert not vm.effects()
    assert rows.status(scene.session) in {"needs_attention", "failed"}
    assert not scene.stage.cloud.ledger.requests(method="PUT", path_contains=f"{vm.id}/runcommands/")


def test_missing_right_is_named_before_anybody_is_asked(scene: Scene, rows: Rows, rights: None):
    """Predecessor A8: "finds no VMs", while the person asked themselves which role was missing, and whose."""
    scene.stage.cloud.revoke(WRITE)

    told = refused(scene, rows, "/runbook execute one-change vm=rg-prod/db-01", WRITE)

    assert "/virtualmachines/db-01" in told.lower()


def test_right_lost_after_the_start_is_named_with_principal_action_and_scope(scene: Scene, rights: None):
    """Predecessor A8 and A9: the roles of the person were looked at, not those of the principal."""
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/db-01 word=never")
    gate = scene.gate()
    scene.stage.cloud.revoke(READ)

    scene.clicks("bob", gate, APPROVE)
    told = scene.offers("Retry").plain()

    assert READ in told
    assert "/virtualmachines/db-01" in told.lower()
    assert scene.stage.cloud.identity.system.object_id in told
    assert not scene.stage.cloud.vm("rg-prod/db-01").effects()
