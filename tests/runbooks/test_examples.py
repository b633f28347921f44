"""The example runbooks: valid, explained to editors, and doing with a real shell what they say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest

from engine.errors import InvalidInput
from engine.expect import judge
from engine.model import OnFailure, Phase, Plan, PlannedStep, Risk, Shell, StepKind, Target
from engine.parameters import check_values
from engine.plan import outline, render
from engine.runbook import Document, json_schema
from storage.catalog import FileCatalog, lint, runbook_files
from storage.strict_yaml import parse, runbook_text

ROOT = Path(__file__).parents[2]
FILES = runbook_files(ROOT / "runbooks")
CATALOG = FileCatalog(ROOT / "runbooks")
NAMES = ["database-connections", "disk-almost-full", "high-cpu-linux", "restart-web", "vm-stopped", "windows-service"]
VALUES = {"database-connections": {"database": "app"}, "windows-service": {"service_name": "W3SVC"}}


def a_plan(name: str, **values: str) -> Plan:
    document = CATALOG.get(name)
    return render(
        document,
        values=check_values(document.runbook, {**VALUES.get(name, {}), **values}),
        target=Target(connector="azure", id="/vm/1", name="web-01", group="rg-prod", os=document.runbook.os),
        policy_version="p",
        needs_approval=lambda _phase, risk, declared: bool(declared) or risk.rank > Risk.LOW.rank,
    )


def the_step(plan: Plan, name: str) -> PlannedStep:
    return next(step for step in plan.steps if step.name == name)


def test_all_example_files_are_valid() -> None:
    assert lint([ROOT / "runbooks"]) == []
    assert list(CATALOG.names()) == NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_points_editors_to_the_schema_and_obeys_it(path: Path) -> None:
    text = runbook_text(path.read_bytes(), path)

    jsonschema.validate(parse(text, file=path.name).value, json_schema())

    assert text.lstrip("\n").startswith("# yaml-language-server: $schema=../docs/runbook.schema.json\n")
    assert (path.parent / "../docs/runbook.schema.json").resolve().is_file()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_can_be_planned_and_shown(name: str) -> None:
    assert outline(a_plan(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_check_changes_nothing_and_a_change_is_gated(name: str) -> None:
    plan = a_plan(name)

    for step in plan.steps:
        assert step.requires_approval == (step.risk is not Risk.NONE), step.name
        assert step.phase not in (Phase.PRECHECK, Phase.POSTCHECK) or step.risk is Risk.NONE, step.name


@pytest.mark.parametrize("name", [name for name in NAMES if name != "vm-stopped"])
def test_the_first_check_and_the_last_look_at_the_same_thing(name: str) -> None:
    document: Document = CATALOG.get(name)

    first, proofs = document.runbook.prechecks[0], document.runbook.postchecks

    last_line = first.run.strip().splitlines()[-1]
    assert any(last_line in proof.run for proof in proofs)


@pytest.mark.parametrize("name", NAMES)
def test_scripts_for_bash_are_valid_bash(name: str) -> None:
    scripts = [step.script for step in a_plan(name).steps if step.shell is Shell.BASH and step.script]

    for script in scripts:
        checked = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True, check=False)
        assert checked.stderr == b"", script


def test_the_demo_has_an_ungated_look_two_gates_and_an_ungated_proof() -> None:
    plan = a_plan("restart-web")

    gates = [(step.name, step.requires_approval) for step in plan.steps if step.phase is not Phase.ROLLBACK]

    assert gates == [
        ("Web service state", False),
        ("Load of the machine", False),
        ("Drain connections", True),
        ("Restart the service", True),
        ("Service is active", False),
    ]
    assert plan.parameters == (("service", "nginx"),)


def test_a_stopped_vm_is_started_by_a_person() -> None:
    step = a_plan("vm-stopped").steps[0]

    assert (step.kind, step.requires_approval, step.script) == (StepKind.MANUAL, True, "")


def test_a_check_that_shows_the_runbook_is_not_needed_asks_a_person() -> None:
    first = {name: a_plan(name).steps[0].on_failure for name in NAMES if name != "vm-stopped"}

    assert set(first.values()) == {OnFailure.ASK}


def run(step: PlannedStep, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    search = f"{path}:/usr/bin:/bin" if path else "/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-c", step.script], capture_output=True, text=True, check=False, env={"PATH": search}
    )


def a_program(folder: Path, name: str, text: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(("code", "state", "holds"), [(0, "active", True), (3, "failed", True), (4, "inactive", False)])
def test_the_demo_goes_on_for_a_stopped_service_but_not_for_an_unknown_one(
    tmp_path: Path, code: int, state: str, holds: bool
) -> None:
    a_program(tmp_path, "systemctl", f'[ "$*" = "is-active apache2" ] && echo {state}; exit {code}')
    step = the_step(a_plan("restart-web", service="apache2"), "Web service state")

    done = run(step, tmp_path)

    assert done.stdout == f"{state}\n"
    assert (judge(step.expect, exit_code=done.returncode, stdout=done.stdout) == "") is holds


@pytest.mark.parametrize(("state", "holds"), [("active", True), ("inactive", False), ("activating", False)])
def test_the_demo_is_proven_only_by_an_active_service(tmp_path: Path, state: str, holds: bool) -> None:
    a_program(tmp_path, "systemctl", f"echo {state}")
    step = the_step(a_plan("restart-web"), "Service is active")

    done = run(step, tmp_path)

    assert (judge(step.expect, exit_code=done.returncode, stdout=done.stdout) == "") is holds


def test_draining_a_service_that_cannot_reload_is_no_failure(tmp_path: Path) -> None:
    a_program(tmp_path, "systemctl", "exit 1")

    done = run(the_step(a_plan("restart-web"), "Drain connections"), tmp_path)

    assert (done.returncode, done.stdout) == (0, "nginx cannot reload; nothing to drain\n")


def test_the_use_of_a_disk_is_one_bare_number_for_exactly_that_mount() -> None:
    step = the_step(a_plan("disk-almost-full", mount="/"), "Use of the file system in percent")

    done = run(step)

    assert done.stdout.strip().isdigit()
    assert int(done.stdout) == round(int(done.stdout))


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed here")
def test_the_top_consumers_are_listed_with_a_heading() -> None:
    step = the_step(a_plan("high-cpu-linux"), "Top consumers")

    done = run(step)

    assert judge(step.expect, exit_code=done.returncode, stdout=done.stdout) == ""


def test_cpu_use_is_one_bare_number(tmp_path: Path) -> None:
    a_program(tmp_path, "sleep", "exit 0")
    step = the_step(a_plan("high-cpu-linux"), "CPU busy in percent")

    done = run(step, tmp_path)

    assert 0 <= int(done.stdout) <= 100


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("restart-web", "service", "nginx; reboot"),
        ("restart-web", "service", "--help"),
        ("high-cpu-linux", "url", "http://169.254.169.254/metadata"),
        ("high-cpu-linux", "url", "file:///etc/shadow"),
        ("disk-almost-full", "mount", "var"),
        ("disk-almost-full", "keep_days", "0"),
        ("database-connections", "database", "app' OR 1=1"),
        ("windows-service", "service_name", "W3SVC; Stop-Computer"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name: str, parameter: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"The parameter '{parameter}'"):
        a_plan(name, **{parameter: value})
