"""One suite for every connector: what the engine relies on, on the bot's own host and on Azure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.local import LocalConnector
from engine.errors import ConnectorError, InvalidInput, Permanent
from engine.model import AttemptStatus, Shell, Target
from engine.ports import CancelAnswer, Connector, Level
from playground.azure import AzureCloud
from tests.connectors.azure import SPEED, connected
from tests.connectors.harness import RealClock, a_command, has_begun, result_from, until


@dataclass
class World:
    """A connector, a machine that it reaches, and where scripts of that machine can leave a mark."""

    connector: Connector
    target: Target
    selector: str
    root: Path

    def mark(self, name: str) -> Path:
        return self.root / name

    def submitted(self, script: str, **changes: Any) -> Any:
        return self.connector.submit(a_command(script, target=self.target, **changes))


@contextmanager
def _local(folder: Path) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOME", str(folder))
        connector = LocalConnector(folder / "bot", RealClock())
        yield World(connector, connector.resolve("local")[0], "local", folder)


@contextmanager
def _azure(folder: Path, *, action: bool) -> Iterator[World]:
    with (
        AzureCloud.start(speed=SPEED, bucket_speed=1e6) as cloud,
        connected(cloud, use_action_fallback=action) as connector,
    ):
        selector = "rg-prod/web-01"
        yield World(connector, connector.resolve(selector)[0], selector, cloud.vm(selector).root)


@pytest.fixture(params=["local", "azure", "azure action"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    kind = str(request.param)
    opened = _local(tmp_path) if kind == "local" else _azure(tmp_path, action=kind == "azure action")
    with opened as ready:
        yield ready


def test_a_connector_describes_itself_without_network(world: World) -> None:
    told = world.connector.describe()

    assert told.label
    assert Shell.BASH in told.shells
    assert told.cancel in {"confirmed", "best_effort", "none"}
    assert told.max_timeout_seconds >= 3600
    assert list(told.poll_seconds) == sorted(told.poll_seconds)


def test_a_selector_resolves_to_the_same_pinned_target_every_time(world: World) -> None:
    first, second = world.connector.resolve(world.selector), world.connector.resolve(world.selector)

    assert first == second
    [target] = first
    assert target.connector == world.connector.describe().name
    assert target.id == target.id.lower()
    assert target.os == "linux"


def test_a_resolved_id_resolves_to_itself(world: World) -> None:
    assert world.connector.resolve(world.target.id) == (world.target,)


def test_an_unknown_name_resolves_to_nothing(world: World) -> None:
    assert world.connector.resolve("nosuch/machine-77") == ()


def test_the_inventory_is_sorted_and_holds_the_target_with_its_power_state(world: World) -> None:
    rows = world.connector.inventory()

    assert [target.id for target, _ in rows] == sorted(target.id for target, _ in rows)
    assert (world.target, "running") in rows


def test_a_healthy_machine_passes_its_preflight(world: World) -> None:
    checks = world.connector.preflight(world.target, Shell.BASH)

    assert checks
    assert {check.level for check in checks} == {Level.OK}


def test_a_machine_with_another_fingerprint_is_blocked_and_refused(world: World) -> None:
    other = replace(world.target, fingerprint="another-machine")

    checks = world.connector.preflight(other, Shell.BASH)

    assert [check.name for check in checks if check.level is Level.BLOCK] == ["same machine"]
    with pytest.raises(Permanent):
        world.connector.submit(a_command(target=other))


def test_a_shell_that_the_machine_lacks_is_blocked(world: World) -> None:
    checks = world.connector.preflight(world.target, Shell.POWERSHELL)

    blocked = [check for check in checks if check.level is Level.BLOCK]
    assert [check.name for check in blocked] == ["shell"]
    assert blocked[0].remedy


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("exit 0", AttemptStatus.SUCCEEDED, 0),
        ("exit 3", AttemptStatus.FAILED, 3),
        ("kill -9 $$", AttemptStatus.FAILED, 137),
        ("syntax error here(", AttemptStatus.FAILED, 2),
    ],
)
def test_a_command_ends_with_its_scripts_exit_code(world: World, script: str, status: AttemptStatus, code: int) -> None:
    handle = world.submitted(script)

    result = result_from(world.connector, world.target, handle)

    assert (result.status, result.exit_code) == (status, code)
    assert result.message


def test_both_streams_arrive_as_bytes_with_their_sizes(world: World) -> None:
    handle = world.submitted("printf 'caf\\xc3\\xa9\\xff\\n'; echo bad >&2; exit 1")

    result = result_from(world.connector, world.target, handle)

    assert (result.stdout, result.stdout_bytes) == (b"caf\xc3\xa9\xff\n", 7)
    assert (result.stderr, result.stderr_bytes) == (b"bad\n", 4)
    assert result.duration_seconds is not None


def test_long_output_arrives_as_its_end_with_the_size_of_the_whole(world: World) -> None:
    handle = world.submitted("seq 1 200000")

    result = result_from(world.connector, world.target, handle)

    whole = "".join(f"{n}\n" for n in range(1, 200_001)).encode()
    assert result.stdout_bytes == len(whole)
    assert len(result.stdout) > 4096
    assert whole.endswith(result.stdout)


def test_the_whole_output_can_be_fetched_piece_by_piece(world: World) -> None:
    handle = world.submitted("seq 1 3000")
    result_from(world.connector, world.target, handle)

    got, total = b"", 1
    while len(got) < total:
        piece, total = world.connector.fetch(handle, "stdout", len(got), 1_000_000)
        got += piece

    assert got == "".join(f"{n}\n" for n in range(1, 3001)).encode()


def test_nothing_runs_after_the_start_deadline(world: World) -> None:
    handle = world.submitted(f'touch "{world.mark("ran")}"', not_after=datetime.now(UTC) - timedelta(seconds=5))

    result = result_from(world.connector, world.target, handle)

    assert result.status is AttemptStatus.REFUSED_LATE
    assert not world.mark("ran").exists()


def test_the_time_limit_stops_a_command_and_says_so(world: World) -> None:
    handle = world.submitted("echo begun; sleep 100", timeout_seconds=1)

    result = result_from(world.connector, world.target, handle)

    assert (result.status, result.stdout) == (AttemptStatus.TIMED_OUT, b"begun\n")


def test_the_machine_itself_tells_how_a_command_ended(world: World) -> None:
    handle = world.submitted("echo hello; exit 6")
    observed = result_from(world.connector, world.target, handle)

    probed = world.connector.probe(handle)

    assert probed is not None
    assert (probed.status, probed.exit_code, probed.stdout) == (observed.status, 6, b"hello\n")


def test_a_cancel_claims_nothing_that_is_not_so(world: World) -> None:
    handle = world.submitted(f'touch "{world.mark("begun")}"; sleep 100; touch "{world.mark("end")}"')
    until(lambda: world.mark("begun").exists())

    answer = world.connector.cancel(handle)

    expected = CancelAnswer.CONFIRMED if world.connector.describe().cancel == "confirmed" else CancelAnswer.NOT_POSSIBLE
    assert answer is expected
    if answer is CancelAnswer.CONFIRMED:
        assert result_from(world.connector, world.target, handle).status is AttemptStatus.CANCELLED
    assert not world.mark("end").exists()


def test_a_cancel_of_an_ended_command_is_confirmed_and_changes_no_result(world: World) -> None:
    handle = world.submitted("exit 4")
    before = result_from(world.connector, world.target, handle)

    answers = [world.connector.cancel(handle), world.connector.cancel(handle)]

    assert answers == [CancelAnswer.CONFIRMED] * 2
    assert result_from(world.connector, world.target, handle) == before


def test_a_sent_command_is_found_again_by_its_attempt_and_runs_once(world: World) -> None:
    command = a_command(f'echo ran >>"{world.mark("runs")}"', target=world.target)
    handle = world.connector.submit(command)
    result_from(world.connector, world.target, handle)

    found = world.connector.reconcile(command)

    assert found is not None
    assert {**found, "submitted_at": ""} == {**handle, "submitted_at": ""}
    assert world.mark("runs").read_text() == "ran\n"


def test_a_command_that_was_never_sent_is_not_found(world: World) -> None:
    """After the start deadline even a connector without names may say so: the guard would refuse it."""
    command = a_command(target=world.target, not_after=datetime.now(UTC) - timedelta(seconds=5))

    assert world.connector.reconcile(command) is None


def test_several_commands_on_one_machine_are_observed_apart(world: World) -> None:
    first = world.submitted("exit 1")
    result_from(world.connector, world.target, first)
    second = world.submitted("exit 2")
    result_from(world.connector, world.target, second)

    seen = world.connector.observe(world.target, [first, second])

    codes = {attempt: one.result.exit_code for attempt, one in seen.items() if one.result}
    assert codes == {first["attempt"]: 1, second["attempt"]: 2}


def test_a_running_command_is_not_reported_as_ended(world: World) -> None:
    handle = world.submitted(f'until [ -e "{world.mark("go")}" ]; do sleep 0.05; done; echo went')
    if world.connector.describe().cancel != "none":
        until(lambda: has_begun(world.connector, world.target, handle))

    early = world.connector.observe(world.target, [handle])[handle["attempt"]]

    world.mark("go").touch()
    assert early.result is None
    assert result_from(world.connector, world.target, handle).stdout == b"went\n"


def test_a_vanished_command_is_left_out(world: World) -> None:
    command = a_command(target=world.target)
    handle = world.connector.submit(command)
    stranger = {**handle, "attempt": "01stranger", "name": "rb-01stranger-1"}

    assert "01stranger" not in world.connector.observe(world.target, [stranger])


def test_clean_up_ends_with_nothing_left_and_may_be_repeated(world: World) -> None:
    handle = world.submitted("echo hello")
    result_from(world.connector, world.target, handle)

    until(lambda: world.connector.cleanup(handle) is None)

    assert world.connector.cleanup(handle) is None
    assert handle["attempt"] not in world.connector.observe(world.target, [handle])


@pytest.mark.parametrize("script", ["echo a\r\necho b\n", "nul \0"])
def test_a_script_that_could_not_arrive_unchanged_is_refused(world: World, script: str) -> None:
    with pytest.raises((InvalidInput, ConnectorError)):
        world.submitted(script)


def test_a_handle_is_small_text_without_secrets_and_addresses(world: World) -> None:
    handle = world.submitted("echo secret-in-script")

    assert all(isinstance(key, str) and isinstance(value, str) for key, value in handle.items())
    assert len(repr(dict(handle))) < 1000
    assert "secret-in-script" not in repr(dict(handle))
    assert "://" not in repr(dict(handle))


def test_the_doctor_finds_nothing_wrong_with_a_healthy_world_and_an_echo_comes_back(world: World) -> None:
    checks = world.connector.doctor(world.target, live=True)

    assert "live" in {check.name for check in checks}
    assert [check for check in checks if check.level is not Level.OK] == []
