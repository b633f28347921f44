"""The guest envelope under real bash: once, in time, exact, reported; and what it refuses to do."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import guest
from connectors.envelope import (
    Trailer,
    bash_envelope,
    kill_script,
    parse_reply,
    parse_trailer,
    platform_timeout,
    probe_script,
    read_script,
    result_of,
    script_of,
)
from connectors.outcome import probe_answer
from engine.errors import Bug, Indeterminate, InvalidInput
from engine.model import AttemptStatus
from engine.ports import Command
from tests.connectors.harness import a_command, until

Run = Callable[..., "Ran"]


class Ran:
    """What came back from one delivery of an envelope."""

    def __init__(self, command: Command, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.trailer = parse_trailer(done.stdout[-4096:], done.stderr[-4096:], command.attempt_id)

    @property
    def report(self) -> Trailer:
        assert self.trailer is not None, (self.out, self.err)
        return self.trailer


class Machine:
    """A folder that plays the machine's disk, and bash."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), guest.STATE_VARIABLE: str(self.state)}
        self._folder = folder

    def bash(self, text: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-s"], input=text.encode(), capture_output=True, env=self.environment, check=False, timeout=60
        )

    def deliver(self, command: Command, text: str = "") -> Ran:
        """As the handler does it: a file of its own, started by `bash -c`."""
        file = self._folder / "script.sh"
        file.write_text(text or bash_envelope(command), newline="")
        file.chmod(0o500)
        done = subprocess.run(
            ["bash", "-c", str(file)], capture_output=True, env=self.environment, check=False, timeout=60
        )
        file.unlink()
        return Ran(command, done)

    def run(self, script: str, **changes: Any) -> Ran:
        return self.deliver(a_command(script, **changes))

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", bash_envelope(command)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env=self.environment,
        )

    def ask(self, text: str, attempt: str, kind: str) -> Any:
        return parse_reply(self.bash(text).stdout, attempt, kind)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def alive(pid: int) -> bool:
    """A zombie has ended: only its parent has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def number_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize("code", [0, 1, 3, 95, 96, 97, 98, 127, 255])
def test_exit_code_of_the_script_is_reported_and_returned(machine: Machine, code: int) -> None:
    ran = machine.run(f"exit {code}")

    assert (ran.code, ran.report.exit_code, ran.report.state) == (code, code, guest.DONE)


def test_a_script_ended_by_a_signal_reports_128_plus_its_number(machine: Machine) -> None:
    ran = machine.run("kill -9 $$")

    assert ran.report.exit_code == 137
    assert ran.err == b""


def test_both_streams_come_back_separately(machine: Machine) -> None:
    ran = machine.run("echo out; echo err >&2")

    assert (ran.report.stdout, ran.report.stderr) == (b"out\n", b"err\n")


def test_no_output_at_all_is_reported_as_such(machine: Machine) -> None:
    ran = machine.run("")

    assert (ran.report.stdout, ran.report.stdout_bytes, ran.report.exit_code) == (b"", 0, 0)


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 9_900, 1_000_000])
def test_the_tail_of_text_is_exact_and_the_size_is_the_whole(machine: Machine, size: int) -> None:
    ran = machine.run(f"yes 'the service answered in 12 ms' | head -c {size}")

    whole = (b"the service answered in 12 ms\n" * (size // 30 + 1))[:size]
    assert ran.report.stdout_bytes == size
    assert whole.endswith(ran.report.stdout)
    assert len(ran.report.stdout) >= min(size, 15_000)


def test_random_bytes_come_back_exact_as_far_as_they_fit(machine: Machine, tmp_path: Path) -> None:
    noise = os.urandom(1_000_000)
    (tmp_path / "noise").write_bytes(noise)

    ran = machine.run('cat "$HOME/noise"')

    assert len(ran.report.stdout) > 2_500
    assert noise.endswith(ran.report.stdout)


def test_a_report_always_fits_into_what_azure_keeps(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(100_000))

    ran = machine.run('cat "$HOME/noise"; cat "$HOME/noise" >&2')

    assert len(ran.out) <= guest.TRAILER_BYTES
    assert len(ran.err) <= guest.TRAILER_BYTES


def test_smaller_rooms_are_kept_for_streams_that_share_one_answer(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(100_000))
    command = a_command('cat "$HOME/noise"; cat "$HOME/noise" >&2')

    ran = machine.deliver(command, bash_envelope(command, out_room=2600, err_room=1100))

    assert len(ran.out) <= 2600
    assert len(ran.err) <= 1100


def test_a_cut_never_leaves_half_a_character(machine: Machine) -> None:
    ran = machine.run("for i in $(seq 1 60000); do printf 'é€😀%s' $RANDOM; done")

    assert ran.report.stdout_bytes > len(ran.report.stdout) > 1000
    ran.report.stdout.decode()


def test_output_beyond_the_cap_keeps_the_true_end(machine: Machine) -> None:
    ran = machine.run(f"head -c {guest.KEPT_BYTES + 100_000} /dev/zero; echo the end")

    assert ran.report.stdout.endswith(b"the end\n")
    assert ran.report.capped
    files = sum(path.stat().st_size for path in machine.state.glob("*/stdout*"))
    assert files <= guest.KEPT_BYTES + guest.TAIL_BYTES


def test_writing_to_the_device_names_of_the_streams_loses_nothing(machine: Machine) -> None:
    ran = machine.run("echo one > /dev/stdout; echo two > /dev/stdout; echo three > /dev/stderr")

    assert (ran.report.stdout, ran.report.stderr) == (b"one\ntwo\n", b"three\n")


def test_standard_input_is_empty(machine: Machine) -> None:
    ran = machine.run("cat; read line; echo code $?")

    assert ran.report.stdout == b"code 1\n"


def test_the_script_sees_the_machines_own_mask_and_environment(machine: Machine) -> None:
    ran = machine.run("umask; env | cut -d= -f1 | sort | tr '\\n' ' '")

    mask = subprocess.run(["bash", "-c", "umask"], capture_output=True, check=True).stdout.decode().strip()
    seen = ran.report.stdout.decode().split()
    assert seen[0] == mask
    assert {name for name in seen[1:] if name not in {"PWD", "SHLVL", "_", "OLDPWD"}} == set(machine.environment)


def test_a_process_left_behind_goes_on_and_is_mentioned(machine: Machine, tmp_path: Path) -> None:
    ran = machine.run('sleep 60 & echo $! >"$HOME/pid"; echo done')

    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    assert (ran.report.stdout, ran.report.left_running, ran.report.exit_code) == (b"done\n", True, 0)


# ---------------------------------------------------------------- once, and in time


def test_a_second_delivery_prints_the_stored_result_and_runs_nothing(machine: Machine, tmp_path: Path) -> None:
    command = a_command('echo ran >>"$HOME/effects"; echo hello; echo oops >&2; exit 3')
    machine.deliver(command)

    again = machine.deliver(command)

    assert again.code == guest.EXIT_DUPLICATE
    assert (again.report.exit_code, again.report.stdout, again.report.stderr) == (3, b"hello\n", b"oops\n")
    assert (tmp_path / "effects").read_text() == "ran\n"


def test_a_second_delivery_during_the_first_says_so_and_runs_nothing(machine: Machine, tmp_path: Path) -> None:
    command = a_command('echo ran >>"$HOME/effects"; until [ -e "$HOME/go" ]; do sleep 0.05; done')
    first = machine.start(command)
    until((tmp_path / "effects").exists)

    second = machine.deliver(command)

    (tmp_path / "go").touch()
    assert first.wait(timeout=60) == 0
    assert second.code == guest.EXIT_DUPLICATE
    assert result_of(second.report) is None
    assert (tmp_path / "effects").read_text() == "ran\n"


def test_twenty_deliveries_at_once_run_once(machine: Machine, tmp_path: Path) -> None:
    command = a_command('echo ran >>"$HOME/effects"')

    started = [machine.start(command) for _ in range(20)]
    codes = sorted(one.wait(timeout=60) for one in started)

    assert codes == [0, *[guest.EXIT_DUPLICATE] * 19]
    assert (tmp_path / "effects").read_text() == "ran\n"


def test_after_the_start_deadline_nothing_runs(machine: Machine, tmp_path: Path) -> None:
    ran = machine.run('touch "$HOME/ran"', not_after=datetime.now(UTC) - timedelta(seconds=5))

    result = result_of(ran.report)
    assert ran.code == guest.EXIT_LATE
    assert result is not None
    assert result.status is AttemptStatus.REFUSED_LATE
    assert not (tmp_path / "ran").exists()


def test_a_script_that_exits_like_a_refusal_is_still_a_script_that_ran(machine: Machine) -> None:
    ran = machine.run(f"echo here; exit {guest.EXIT_LATE}")

    result = result_of(ran.report)
    assert result is not None
    assert (result.status, result.exit_code) == (AttemptStatus.FAILED, guest.EXIT_LATE)


def test_without_a_place_for_the_guard_nothing_runs(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    machine.environment[guest.STATE_VARIABLE] = str(tmp_path / "file" / "state")
    machine.environment["HOME"] = "/proc/none"

    ran = machine.run(f'touch "{tmp_path}/ran"')

    assert (ran.code, ran.report.state) == (guest.EXIT_NO_STATE, guest.NO_STATE)
    assert not (tmp_path / "ran").exists()


def test_the_home_folder_is_used_where_the_usual_place_cannot_be(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    machine.environment[guest.STATE_VARIABLE] = str(tmp_path / "file" / "state")
    command = a_command("echo hello")

    ran = machine.deliver(command)

    assert ran.report.exit_code == 0
    assert (tmp_path / guest.STATE_FOLDER_FALLBACK / command.attempt_id / "result").exists()


def test_a_script_damaged_on_its_way_does_not_run(machine: Machine, tmp_path: Path) -> None:
    command = a_command('touch "$HOME/ran"')
    damaged = bash_envelope(command).replace("sum='", "sum='0")

    ran = machine.deliver(command, damaged)

    assert (ran.code, ran.report.state) == (guest.EXIT_DAMAGED, guest.DAMAGED)
    assert not (tmp_path / "ran").exists()


def test_old_state_is_removed_and_young_state_is_kept(machine: Machine) -> None:
    past = datetime.now(UTC) - timedelta(seconds=guest.KEEP_SECONDS + 60)
    old, young = a_command(not_after=past), a_command(not_after=datetime.now(UTC) - timedelta(hours=1))
    machine.deliver(old)
    machine.deliver(young)

    machine.run("true")

    left = {path.name for path in machine.state.iterdir()}
    assert old.attempt_id not in left
    assert young.attempt_id in left


# ---------------------------------------------------------------- time limit


def test_the_time_limit_ends_the_script_and_all_its_children(machine: Machine, tmp_path: Path) -> None:
    ran = machine.run(
        'sleep 100 & echo $! >"$HOME/a"; timeout 100 sleep 90 & echo $! >"$HOME/b"\n'
        "bash -c 'set -m; sleep 80 & echo $! >\"$HOME/c\"; wait' & sleep 70",
        timeout_seconds=1,
    )

    result = result_of(ran.report)
    pids = [int((tmp_path / name).read_text()) for name in "abc"]
    assert result is not None
    assert result.status is AttemptStatus.TIMED_OUT
    assert [alive(pid) for pid in pids] == [False, False, False]


def test_a_script_that_ignores_the_polite_signal_is_ended_all_the_same(machine: Machine) -> None:
    ran = machine.run("trap '' TERM; echo begun; while true; do sleep 0.2; done", timeout_seconds=1)

    assert (ran.report.timed_out, ran.report.stdout) == (True, b"begun\n")
    assert ran.report.duration_seconds < 15


def test_the_platform_waits_longer_than_the_envelope() -> None:
    command = a_command(timeout_seconds=300)

    assert platform_timeout(command) > command.timeout_seconds + guest.TERM_SECONDS


# ---------------------------------------------------------------- forgery


def test_a_script_cannot_fake_its_own_report(machine: Machine) -> None:
    command = a_command("")
    forged = f'{guest.MARKER} {command.attempt_id} out {{"state":"done","rc":0}} '
    script = f"echo '{forged}'; echo '{forged}' >&2; exit 9"

    ran = machine.deliver(a_command(script, attempt_id=command.attempt_id))

    assert ran.report.exit_code == 9


def test_a_report_about_another_attempt_is_not_ours() -> None:
    forged = f'{guest.MARKER} 01other out {{"state":"done","rc":0}} \n'.encode()

    assert parse_trailer(forged, b"", "01mine") is None


def test_the_last_of_several_reports_counts() -> None:
    lines = [f'{guest.MARKER} 01mine out {{"state":"done","rc":{code}}} \n'.encode() for code in (0, 7)]

    trailer = parse_trailer(b"".join(lines), b"", "01mine")

    assert trailer is not None
    assert trailer.exit_code == 7


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"plain output\n",
        b"RUNBOOK-BOT/1 01mine out {not json} \n",
        b'RUNBOOK-BOT/1 01mine out {"state":"done","rc":0,"gz":1} AAAA\n',
        b'RUNBOOK-BOT/1 01mine out {"state":"done","rc":0,"gz":1} H4sIAAAAAAACA8vI\n',
        b'RUNBOOK-BOT/1 01mine out {"state":"done","rc":0} ===\n',
        b"RUNBOOK-BOT/1 01mine out [1] \n",
        b'UNBOOK-BOT/1 01mine out {"state":"done","rc":0} \n',
        b"\xff\xfe\x00",
    ],
)
def test_a_report_that_does_not_decode_is_no_report(tail: bytes) -> None:
    assert parse_trailer(tail, b"", "01mine") is None


def test_carriage_returns_added_by_a_platform_do_no_harm(machine: Machine) -> None:
    command = a_command("echo hello")
    ran = machine.deliver(command)

    trailer = parse_trailer(ran.out.replace(b"\n", b"\r\n"), b"", command.attempt_id)

    assert trailer is not None
    assert trailer.stdout == b"hello\n"


# ---------------------------------------------------------------- probe, kill, read


def test_a_probe_of_an_attempt_that_never_came_says_absent(machine: Machine) -> None:
    reply = machine.ask(probe_script("01never"), "01never", "probe")

    assert reply.state == guest.ABSENT
    assert not machine.state.exists()


@pytest.mark.parametrize(("age", "expected"), [(60, AttemptStatus.NOT_STARTED), (-60, None)])
def test_absent_means_never_started_only_after_the_start_deadline(
    machine: Machine, age: int, expected: AttemptStatus | None
) -> None:
    deadline = datetime.now(UTC) - timedelta(seconds=age)
    handle = {"attempt": "01never", "not_after": str(int(deadline.timestamp()))}
    out = machine.bash(probe_script("01never")).stdout

    if expected is None:
        with pytest.raises(Indeterminate):
            probe_answer(handle, out, b"")
    else:
        result = probe_answer(handle, out, b"")
        assert result is not None
        assert result.status is expected


def test_a_probe_of_a_finished_attempt_gives_its_whole_report(machine: Machine) -> None:
    command = a_command("echo hello; echo oops >&2; exit 5")
    machine.deliver(command)

    done = machine.bash(probe_script(command.attempt_id))

    trailer = parse_trailer(done.stdout, done.stderr, command.attempt_id)
    assert trailer is not None
    assert (trailer.exit_code, trailer.stdout, trailer.stderr) == (5, b"hello\n", b"oops\n")


def test_a_probe_that_looks_as_a_script_says_who_runs_it_sees_that_it_runs(machine: Machine) -> None:
    """Who runs is written between two of its looks: it was not there for the first and is there for the second."""
    command = a_command('until [ -e "$HOME/go" ]; do sleep 0.05; done')
    started = machine.start(command)
    folder = machine.state / command.attempt_id
    until((folder / "processes").exists)
    (folder / "processes").rename(folder / "late")
    between = """
eval "first_$(declare -f whereabouts)"
whereabouts() {
  local found; first_whereabouts; found=$?
  [ -e "$dir/late" ] && mv "$dir/late" "$dir/processes"
  return $found
}
if ! find_folder"""

    out = machine.bash(probe_script(command.attempt_id).replace("\nif ! find_folder", between)).stdout
    Path(machine.environment["HOME"], "go").touch()
    started.wait(30)

    reply = parse_reply(out, command.attempt_id, "probe")
    assert reply is not None, out
    assert reply.state == guest.RUNNING


def test_a_probe_sees_that_a_script_runs_and_that_it_was_interrupted(machine: Machine, tmp_path: Path) -> None:
    command = a_command('echo begun; echo $$ >"$HOME/pid"; sleep 60')
    envelope = machine.start(command)
    group = until(lambda: number_in(tmp_path / "pid"))
    running = until(lambda: machine.ask(probe_script(command.attempt_id), command.attempt_id, "probe"))

    envelope.kill()
    envelope.wait(timeout=60)
    alone = machine.ask(probe_script(command.attempt_id), command.attempt_id, "probe")
    os.killpg(group, signal.SIGKILL)
    until(lambda: not alive(group))
    after = machine.bash(probe_script(command.attempt_id))

    trailer = parse_trailer(after.stdout, after.stderr, command.attempt_id)
    assert running.state == guest.RUNNING
    assert alone.state == guest.RUNNING
    assert trailer is not None
    assert (trailer.state, trailer.stdout) == (guest.INTERRUPTED, b"begun\n")
    result = result_of(trailer)
    assert result is not None
    assert result.status is AttemptStatus.UNKNOWN


def test_a_restart_of_the_machine_reads_as_interrupted_whoever_has_the_numbers_now(machine: Machine) -> None:
    folder = machine.state / "01rebooted"
    folder.mkdir(parents=True)
    (folder / "processes").write_text(f"another-boot {os.getpid()} 1 {os.getpid()} 1\n")

    done = machine.bash(probe_script("01rebooted"))
    killed = machine.ask(kill_script("01rebooted"), "01rebooted", "kill")

    trailer = parse_trailer(done.stdout, done.stderr, "01rebooted")
    assert trailer is not None
    assert trailer.state == guest.INTERRUPTED
    assert killed.state == guest.STOPPED


@pytest.mark.parametrize("empty_file", [True, False])
def test_an_envelope_that_is_just_beginning_is_neither_interrupted_nor_stopped(
    machine: Machine, empty_file: bool
) -> None:
    folder = machine.state / "01begins"
    folder.mkdir(parents=True)
    if empty_file:
        (folder / "processes").touch()

    probed = machine.ask(probe_script("01begins"), "01begins", "probe")
    killed = machine.ask(kill_script("01begins"), "01begins", "kill")

    assert (probed.state, killed.state) == (guest.RUNNING, guest.ALIVE)


def test_a_recycled_process_number_is_never_touched(machine: Machine) -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    folder = machine.state / "01recycled"
    folder.mkdir(parents=True)
    (folder / "processes").write_text(f"{boot} {bystander.pid} 1 {bystander.pid} 1\n")

    reply = machine.ask(kill_script("01recycled"), "01recycled", "kill")

    assert bystander.poll() is None
    bystander.kill()
    bystander.wait(timeout=60)
    assert reply.state == guest.STOPPED


def test_a_kill_stops_script_and_children_and_the_report_says_cancelled(machine: Machine, tmp_path: Path) -> None:
    command = a_command('sleep 90 & echo $! >"$HOME/child"; echo begun; sleep 60')
    envelope = machine.start(command)
    child = until(lambda: number_in(tmp_path / "child"))

    reply = machine.ask(kill_script(command.attempt_id), command.attempt_id, "kill")

    envelope.wait(timeout=60)
    done = machine.bash(probe_script(command.attempt_id))
    trailer = parse_trailer(done.stdout, done.stderr, command.attempt_id)
    result = result_of(trailer) if trailer else None
    assert reply.state == guest.STOPPED
    assert not alive(child)
    assert result is not None
    assert (result.status, result.stdout) == (AttemptStatus.CANCELLED, b"begun\n")


def test_a_kill_before_the_start_keeps_the_script_from_ever_starting(machine: Machine, tmp_path: Path) -> None:
    command = a_command('touch "$HOME/ran"')

    reply = machine.ask(kill_script(command.attempt_id), command.attempt_id, "kill")
    late = machine.deliver(command)

    result = result_of(late.report)
    assert reply.state == guest.ABSENT
    assert late.code == guest.EXIT_DUPLICATE
    assert result is not None
    assert result.status is AttemptStatus.CANCELLED
    assert not (tmp_path / "ran").exists()


def test_a_kill_at_the_moment_of_the_start_always_wins(machine: Machine, tmp_path: Path) -> None:
    for _ in range(25):
        command = a_command('sleep 90; touch "$HOME/ran"', timeout_seconds=60)
        envelope = machine.start(command)

        reply = machine.ask(kill_script(command.attempt_id), command.attempt_id, "kill")

        assert reply.state in {guest.STOPPED, guest.ABSENT}
        assert envelope.wait(timeout=60) in {143, guest.EXIT_DUPLICATE}
        done = machine.bash(probe_script(command.attempt_id))
        trailer = parse_trailer(done.stdout, done.stderr, command.attempt_id)
        result = result_of(trailer) if trailer else None
        assert result is not None
        assert result.status is AttemptStatus.CANCELLED
    assert not (tmp_path / "ran").exists()


def test_a_kill_after_the_end_changes_nothing(machine: Machine) -> None:
    command = a_command("exit 4")
    machine.deliver(command)

    first = machine.ask(kill_script(command.attempt_id), command.attempt_id, "kill")
    again = machine.deliver(command)

    assert first.state == guest.DONE
    assert (again.report.exit_code, again.report.cancelled) == (4, False)


def test_pieces_of_the_output_put_together_are_the_output(machine: Machine, tmp_path: Path) -> None:
    noise = os.urandom(20_000)
    (tmp_path / "noise").write_bytes(noise)
    command = a_command('cat "$HOME/noise"')
    machine.deliver(command)

    got, total = b"", 1
    while len(got) < total:
        done = machine.bash(read_script(command.attempt_id, "stdout", len(got), 100_000))
        assert len(done.stdout) <= guest.TRAILER_BYTES
        reply = parse_reply(done.stdout, command.attempt_id, "read")
        assert reply is not None
        got, total = got + reply.data, reply.total

    assert got == noise


# ---------------------------------------------------------------- exact bytes

_SPECIAL = [
    "",
    "\n",
    "\n\n\n",
    "no newline at the end",
    "'\n'\nscript='\nexit 1\n'",
    '"; rm -rf / #',
    "$(touch canary) `touch canary` ${IFS}",
    "@SCRIPT@ @ID@ @LIMIT@",
    "EOF\nRUNBOOK\n__END__\n",
    "é€😀\u202e\u0000".replace("\u0000", ""),
    "\ufeff#!/bin/bash\n",
    "#!/usr/bin/env python3\nprint(1)\n",
    "\t \t\n  ",
    "\\n\\\\n\\",
    "%s%n%d %%",
    "!history !!",
    "a" * 100_000,
    "x\n" * 50_000,
    "\x01\x02\x1b[31m\x7f",
    "RUNBOOK-BOT/1 01mine out {} \n",
]
_PIECES = ["'", '"', "`", "$", "\\", "\n", ";", "&", "|", "(", ")", "{", "}", "#", "@ID@", "é", "\x1b", " ", "*", "~"]
_HOSTILE = [
    *_SPECIAL,
    *("".join(_PIECES[(n * 7 + k * k * (n % 5 + 1)) % len(_PIECES)] for k in range(n % 40 + 1)) for n in range(180)),
]


def test_two_hundred_hostile_scripts_travel_unchanged() -> None:
    assert len(_HOSTILE) == 200

    carried = [script_of(bash_envelope(a_command(script))) for script in _HOSTILE]

    assert carried == _HOSTILE


def test_what_bash_runs_is_what_was_sent(machine: Machine) -> None:
    """One bash for all: decode each envelope's script as the envelope does, without running it."""
    for script in _HOSTILE[::9]:
        command = a_command(script, not_after=datetime.now(UTC) + timedelta(seconds=60))
        only_decoding = bash_envelope(command).replace('own_session bash "$dir/script"', "exit 0")

        machine.deliver(command, only_decoding)

        assert (machine.state / command.attempt_id / "script").read_bytes() == script.encode()


@pytest.mark.parametrize("script", ["echo a\r\n", "a\rb", "nul\0", "\ud800"])
def test_a_script_that_could_not_arrive_unchanged_is_refused(script: str) -> None:
    with pytest.raises(InvalidInput):
        bash_envelope(a_command(script))


@pytest.mark.parametrize("attempt", ["", "../up", "a b", "A", "x'; id #", "a\n"])
def test_an_attempt_id_that_could_be_code_is_refused(attempt: str) -> None:
    with pytest.raises(Bug):
        bash_envelope(a_command(attempt_id=attempt))


@pytest.mark.parametrize(("stream", "offset", "limit"), [("script", 0, 1), ("stdout", -1, 1), ("stdout", 0, 0)])
def test_only_pieces_of_the_output_can_be_read(stream: str, offset: int, limit: int) -> None:
    with pytest.raises(InvalidInput):
        read_script("01mine", stream, offset, limit)


def test_a_text_that_is_no_envelope_has_no_script() -> None:
    with pytest.raises(Bug):
        script_of("echo hello")
