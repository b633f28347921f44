"""What happens inside a Linux VM: parameters, limits of output and time, and every way to run again."""

import pytest


def test_named_parameters_are_environment_and_empty_ones_vanish(desk):
    view = desk.run(
        "rb-1",
        'echo "$A-${B-unset}-$C"',
        parameters=[{"name": "A", "value": "x y"}, {"name": "B", "value": ""}, {"name": "C", "value": "open"}],
        protectedParameters=[{"name": "C", "value": "secret"}],
    )

    assert view["output"] == "x y-unset-secret\n"


def test_parameter_names_are_unchecked(desk):
    view = desk.run("rb-1", "systemctl is-active nginx", parameters=[{"name": "PATH", "value": "/nowhere"}])

    assert view["exitCode"] == 127


def test_unnamed_parameters_are_pasted_unquoted_into_the_command_line(desk):
    view = desk.run("rb-1", 'echo "got $1"', parameters=[{"value": "x; echo INJECTED"}])

    assert view["output"] == "got x\nINJECTED\n"


def test_shebang_is_honoured_and_without_one_it_is_bash(desk):
    plain = desk.run("rb-1", "echo ${BASH_VERSION:+bash}")
    shell = desk.run("rb-2", "#!/bin/sh\nreadlink /proc/$$/exe")

    assert plain["output"] == "bash\n"
    assert "bash" not in shell["output"]


def test_line_ends_are_not_repaired(desk):
    view = desk.run("rb-1", "#!/bin/bash\r\necho hi\r\n")

    assert view["exitCode"] == 127


def test_working_folder_is_a_download_folder_of_this_sequence(desk):
    view = desk.run("rb-1", "pwd; ls")

    assert "/download/rb-1/0\n" in view["output"]
    assert "script.sh" in view["output"]


def test_timeout_is_failed_with_minus_one_and_children_live_on(cloud, desk):
    view = desk.run("rb-1", "sleep 60 & echo begun; wait", timeoutInSeconds=1)

    assert (view["executionState"], view["exitCode"], view["output"]) == ("Failed", -1, "begun\n")
    assert [one.command for one in cloud.vm("web-01").processes()] == ["sleep 60"]
    assert cloud.ledger.executions()[0].ended_by == "timeout"


def test_killed_script_looks_just_like_a_timeout(desk):
    view = desk.run("rb-1", "kill -9 $$")

    assert (view["executionState"], view["exitCode"]) == ("Failed", -1)


def test_only_the_last_4096_bytes_of_each_stream_are_kept(desk):
    view = desk.run("rb-1", "head -c 5000 /dev/zero | tr '\\0' a; echo END; head -c 9 /dev/zero | tr '\\0' e >&2")

    assert len(view["output"]) == 4096
    assert view["output"].endswith("aEND\n")
    assert view["error"] == "e" * 9


def test_cut_character_becomes_the_replacement_character(desk):
    view = desk.run("rb-1", "for i in $(seq 1400); do printf '\\xe2\\x82\\xac'; done; printf xx")

    assert view["output"].startswith("\ufffd")
    assert view["output"].lstrip("\ufffd").startswith("€")


def test_binary_output_is_mangled_byte_by_byte(desk):
    view = desk.run("rb-1", "printf 'a\\xff\\xfeb'")

    assert view["output"] == "a\ufffd\ufffdb"


def test_output_of_a_running_script_is_refreshed(cloud, desk):
    desk.put("rb-1", "echo half; until [ -e $VM_ROOT/go ]; do sleep 0.02; done; echo whole")

    cloud.wait_for(lambda: desk.view("rb-1").get("output") == "half\n")
    assert desk.view("rb-1")["executionState"] == "Running"
    (cloud.vm("web-01").root / "go").touch()

    assert desk.ended("rb-1")["output"] == "half\nwhole\n"


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"source": {"scriptUri": "https://example.net/x.sh"}}, -100),
        ({"outputBlobUri": "https://example.net/blob"}, -101),
        ({"runAsUser": "deploy"}, -102),
        ({"parameters": [{"name": "A", "value": "nul\0"}]}, -200),
    ],
)
def test_set_up_errors_have_codes_below_minus_100_and_nothing_runs(cloud, desk, properties, code):
    view = desk.run("rb-1", **{"script": "effect ran", **properties}) if "source" not in properties else None
    if view is None:
        body = desk.body("")
        body["properties"] |= properties
        desk.client.virtual_machine_run_commands.begin_create_or_update(
            "rg-prod", "web-01", "rb-1", body, polling=False
        )
        view = desk.ended("rb-1")

    assert (view["executionState"], view["exitCode"]) == ("Failed", code)
    assert cloud.vm("web-01").effects() == []


def test_update_kills_the_earlier_script_of_the_same_name(cloud, desk):
    desk.put("rb-1", "exec sleep 60")
    cloud.wait_for(lambda: len(cloud.vm("web-01").processes()) == 1)
    desk.settled("rb-1")

    view = desk.run("rb-1", "echo second")

    assert view["output"] == "second\n"
    cloud.wait_for(lambda: cloud.vm("web-01").processes() == [])


def test_delete_does_not_stop_a_running_script(cloud, desk):
    desk.put("rb-1", "until [ -e $VM_ROOT/go ]; do sleep 0.02; done; effect survived")
    cloud.wait_for(cloud.vm("web-01").processes)

    desk.delete("rb-1")
    desk.gone("rb-1")
    (cloud.vm("web-01").root / "go").touch()

    cloud.wait_for(cloud.vm("web-01").effects)


def test_delete_can_be_switched_to_the_documented_kill(cloud, desk):
    cloud.switches.delete_kills = True
    desk.put("rb-1", "sleep 60; effect survived")
    cloud.wait_for(cloud.vm("web-01").processes)

    desk.delete("rb-1")
    desk.gone("rb-1")

    cloud.wait_for(lambda: not cloud.vm("web-01").processes())
    assert cloud.vm("web-01").effects() == []


def test_any_change_enables_all_and_only_the_sequence_file_stops_a_second_run(cloud, desk):
    desk.run("rb-1", "effect one")
    desk.run("rb-2", "effect two")
    vm = cloud.vm("web-01")
    sequence_files = sorted(path.name for path in (vm.root.parent / "waagent").rglob("*.mrseq"))
    next((vm.root.parent / "waagent").rglob("rb-1.mrseq")).unlink()

    desk.run("rb-3", "effect three")

    cloud.wait_for(lambda: len(vm.effects()) == 4)
    assert sequence_files == ["rb-1.mrseq", "rb-2.mrseq"]
    assert [line.split()[-1] for line in vm.effects()].count("one") == 2


def test_sequence_is_written_before_the_script_runs(desk):
    view = desk.run("rb-1", "cat ../../../rb-1.mrseq")

    assert view["output"] == "0"


def test_reboot_mid_script_never_runs_it_again_and_shows_running_for_ever(cloud, desk):
    vm = cloud.vm("web-01")
    desk.put("rb-1", "effect begun; sleep 60; effect ended")
    cloud.wait_for(lambda: desk.view("rb-1").get("executionState") == "Running")

    vm.reboot()
    beat = cloud.platform.estate.vms[vm.id.lower()]
    before = beat.heartbeat
    cloud.wait_for(lambda: beat.heartbeat != before)

    assert desk.view("rb-1")["executionState"] == "Running"
    assert len(vm.effects()) == 1
    assert cloud.ledger.executions()[0].ended_by == "cut"


def test_careful_upgrade_keeps_what_ran_except_names_with_dots(cloud, desk):
    desk.run("rb-1", "effect plain")
    desk.run("rb.2", "effect dotted")
    vm = cloud.vm("web-01")

    vm.upgrade_extension()

    cloud.wait_for(lambda: len(vm.effects()) == 3)
    assert [line.split()[-1] for line in vm.effects()] == ["plain", "dotted", "dotted"]


def test_forgetful_upgrade_runs_leftovers_again(cloud, desk):
    desk.run("rb-1", "effect one")
    desk.run("rb-2", "effect two")
    desk.delete("rb-2")
    desk.gone("rb-2")
    vm = cloud.vm("web-01")

    vm.upgrade_extension(forget=True)

    cloud.wait_for(lambda: [line.split()[-1] for line in vm.effects()] == ["one", "two", "one"])


def test_restored_disk_runs_leftovers_again_and_forgets_effects(cloud, desk):
    vm = cloud.vm("web-01")
    snapshot = vm.take_snapshot()
    desk.run("rb-1", "effect ran")

    vm.restore_snapshot(snapshot)

    cloud.wait_for(lambda: len(cloud.ledger.executions(name="rb-1")) == 2)
    cloud.wait_for(lambda: len(vm.effects()) == 1)


def test_broken_agent_leaves_scripts_alone_and_reports_after_repair(cloud, desk):
    vm = cloud.vm("web-01")
    desk.put("rb-1", "until [ -e $VM_ROOT/go ]; do sleep 0.02; done; effect ran")
    cloud.wait_for(vm.processes)

    vm.break_agent()
    (vm.root / "go").touch()
    cloud.wait_for(vm.effects)
    unheard = desk.view("rb-1")["executionState"]
    vm.repair_agent()

    assert unheard in {"Pending", "Running"}
    assert desk.ended("rb-1")["executionState"] == "Succeeded"


def test_late_agent_carries_out_goals_later(cloud, desk):
    vm = cloud.vm("web-01")
    vm.delay_agent(3600)
    desk.put("rb-1", "effect ran")

    before = list(vm.effects())
    cloud.advance(3700)

    assert before == []
    cloud.wait_for(vm.effects)


def test_recreated_vm_is_another_one_with_an_empty_disk(cloud, desk):
    vm = cloud.vm("web-01")
    desk.run("rb-1", "effect ran")
    before = vm.vm_id

    vm.recreate()

    assert vm.vm_id != before
    assert vm.run_commands() == []
    assert vm.effects() == []
    assert desk.run("rb-1", "echo fresh")["output"] == "fresh\n"
