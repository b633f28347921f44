"""Where scripts run: whose processes they are, what they can reach, and that nothing stays behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import requests

from playground.azure import AzureCloud
from playground.azure.sandbox import Limits, Sandbox, kill

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run scripts as another user")


@as_root
def test_scripts_never_run_as_root_and_each_vm_has_a_user_of_its_own(cloud, desk):
    first = desk.run("rb-1", "id -u; id -G")["output"].split()
    desk.put("rb-1", "id -u", vm="web-02")
    second = desk.ended("rb-1", vm="web-02")["output"].split()

    assert "0" not in first
    assert first[0] != second[0]


@as_root
def test_script_cannot_write_outside_its_vm(cloud, desk, tmp_path):
    other = cloud.vm("web-02").root

    view = desk.run("rb-1", f"echo x >> {other}/effects.log; echo x > {tmp_path}/here")

    assert view["exitCode"] == 1
    assert cloud.vm("web-02").effects() == []
    assert not (tmp_path / "here").exists()


def test_environment_is_minimal(cloud, desk, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")

    view = desk.run("rb-1", "env | cut -d= -f1 | tr '\\n' ' '; echo; echo $HOME")

    names = set(view["output"].splitlines()[0].split())
    assert names == {"HOME", "PATH", "PWD", "SHLVL", "TMPDIR", "VM_NAME", "VM_ROOT", "_"}
    assert view["output"].splitlines()[1] == str(cloud.vm("web-01").root)


@as_root
def test_number_of_processes_is_capped(desk):
    view = desk.run("rb-1", "#!/bin/sh\nfor i in $(seq 300); do sleep 20 & done; echo all")

    assert view["exitCode"] == 2
    assert "fork" in view["error"]


def test_size_of_output_is_capped(cloud, desk):
    view = desk.run("rb-1", "ulimit -f")

    assert view["output"].strip() == str(64 * 1024)


def test_script_reads_nothing_from_standard_input(desk):
    assert desk.run("rb-1", "cat; echo done")["output"] == "done\n"


def test_stopping_the_cloud_leaves_no_process_and_no_folder(monkeypatch):
    with AzureCloud.start(speed=100) as cloud:
        vm = cloud.vm("web-01")
        body = {
            "location": "westeurope",
            "properties": {"source": {"script": "(setsid sleep 61 &) ; env -i sleep 62"}, "asyncExecution": True},
        }
        token, _ = cloud.identity.issue(cloud.identity.system, cloud.url)
        _put(cloud, f"{vm.id}/runCommands/rb-1", token, body)
        cloud.wait_for(lambda: len(vm.processes()) >= 2)
        pids = [one.pid for one in vm.processes()]
        folder = vm.root

    assert not folder.exists()
    assert [pid for pid in pids if _is_sleeping(pid)] == []


def test_stopping_the_cloud_waits_for_the_scripts_of_a_deleted_machine_too():
    with AzureCloud.start(speed=100) as cloud:
        vm = cloud.vm("web-01")
        body = {"location": "westeurope", "properties": {"source": {"script": "sleep 63"}, "asyncExecution": True}}
        token, _ = cloud.identity.issue(cloud.identity.system, cloud.url)
        _put(cloud, f"{vm.id}/runCommands/rb-1", token, body)
        sandbox = cloud.platform.estate.vms[vm.id.lower()].guest.sandbox
        children = cloud.wait_for(lambda: list(sandbox._children))
        cloud.on_loop(lambda: cloud.platform.estate.vms.pop(vm.id.lower()))

    assert [child.returncode for child in children] == [-9]


def dies_unheard(pid: int) -> None:
    """Wait until it is dead without letting the event loop run, which would ask for its end."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the event loop learns of ends from a pidfd: Linux")
def test_end_of_a_script_that_died_before_it_was_killed_is_not_lost(monkeypatch, tmp_path):
    async def kills_a_dead_script():
        sandbox = Sandbox(tmp_path / "vm", "vm", Limits())
        sandbox.create()
        children = [await sandbox.spawn("sleep 60", extra={}, folder=sandbox.root) for _ in range(2)]
        for child in children:
            dies_unheard(child.pid)
        kill(children[0])
        await sandbox.reap()
        return [await child.wait() for child in children]

    with asyncio.Runner() as runner:
        if sys.version_info < (3, 12):  # the only watcher since, and the one that waits until the loop asks
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(runner.get_loop())
            monkeypatch.setattr(asyncio.get_event_loop_policy(), "_watcher", watcher)

        assert runner.run(kills_a_dead_script()) == [-signal.SIGKILL, -signal.SIGKILL]


def test_machines_go_down_when_no_task_is_left_that_could_start_another_script():
    trail = []
    cloud = AzureCloud.start(speed=100)

    async def starts_a_script():
        trail.append("running")
        try:
            await asyncio.Event().wait()
        finally:
            trail.append("ended")

    cloud._server.call(lambda: cloud.platform.spawn(starts_a_script()))
    cloud.wait_for(lambda: trail)
    guest = cloud.platform.estate.vms[cloud.vm("web-01").id.lower()].guest
    guest.shutdown = lambda: trail.append("machine down")

    cloud.stop()

    assert trail == ["running", "ended", "machine down"]


def _put(cloud, path, token, body):
    requests.put(
        f"{cloud.url}{path}?api-version=2026-04-01",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        verify=str(cloud.ca_file),
        timeout=30,
    ).raise_for_status()


def _is_sleeping(pid):
    try:
        return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize(
    ("script", "output", "code"),
    [
        ("systemctl is-active nginx", "active\n", 0),
        ("systemctl stop nginx; systemctl is-active nginx", "inactive\n", 3),
        ("systemctl is-active lost", "inactive\n", 3),
        ("sudo systemctl restart nginx.service; sudo -n systemctl is-active --quiet nginx", "", 0),
        ("hostname", "web-01\n", 0),
        ("curl -fsS http://localhost/healthz", "ok\n", 0),
        ("systemctl stop nginx; curl -fsS http://localhost/", "", 7),
        ("curl https://example.net/", "", 6),
        ("df -h / | awk 'NR==2 {print $5}'", "41%\n", 0),
        ("service nginx restart; journalctl -u nginx -n 1 | grep -c Started", "1\n", 0),
        ("systemctl status nginx | grep -o 'Active: active'", "Active: active\n", 0),
        ("systemctl restart lost", "", 5),
    ],
)
def test_machine_brings_tools_that_keep_state(desk, script, output, code):
    view = desk.run("rb-1", script)

    assert (view["output"], view["exitCode"]) == (output, code)


def test_broken_unit_fails_to_start_and_says_so(cloud, desk):
    cloud.vm("web-01").set_unit("nginx", "failed", broken=True)

    view = desk.run("rb-1", "systemctl restart nginx; echo rc=$?; systemctl is-failed nginx")

    assert view["output"] == "rc=1\nfailed\n"
    assert "Job for nginx.service failed" in view["error"]


def test_cloud_says_which_machines_it_knows(cloud):
    with pytest.raises(LookupError, match="lost-01"):
        cloud.vm("lost-01")


def test_waiting_for_what_never_comes_ends_with_the_time_limit(cloud):
    with pytest.raises(TimeoutError):
        cloud.wait_for(lambda: False, timeout=0.1)
