"""The dialogs: a form made from the runbook, and the reasons that are asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import ids
from bot.blockkit import validate_view
from bot.views import launch, reasons
from engine.events import Choice
from engine.model import Target
from engine.runbook import Runbook
from tests.bot.views.builders import HOSTILE, ODD
from tests.bot.views.reading import nodes

RUNBOOKS = (("restart-web", "Restart the web server"), ("clean-disk", "Clean the disk"))


def a_runbook(**parameters: Any) -> Runbook:
    used = " ".join(f'"${name}"' for name in parameters)
    return Runbook.model_validate(
        {
            "name": "restart-web",
            "title": "Restart the web server",
            "owner": "platform",
            "environment": "prod",
            "risk": "low",
            "os": "linux",
            "targets": ["rg-web/web-*"],
            "parameters": parameters,
            "steps": [{"name": "Restart", "run": f"echo {used}\n"}],
        }
    )


def a_vm(name: str = "web-01", *, os: str = "linux") -> Target:
    return Target(connector="azure", id=f"/vms/{name}", name=name, group="rg-web", os=os)


def form(runbook: Runbook, **offer: Any) -> dict[str, dict[str, Any]]:
    """The dialog's blocks by block id."""
    view = launch.launch(launch.Offer(runbooks=RUNBOOKS, runbook=runbook, **offer))
    assert validate_view(view) == []
    return {block["block_id"]: block for block in view["blocks"] if "block_id" in block}


# ---------------------------------------------------------------- launch


def test_the_skeleton_opens_with_nothing_but_a_word() -> None:
    view = launch.loading(metadata="key")

    assert validate_view(view) == []
    assert "Loading…" in json.dumps(view, ensure_ascii=False)
    assert view["private_metadata"] == "key"
    assert "submit" not in view


def test_a_description_flows_where_its_lines_were_only_broken_for_an_editor() -> None:
    broken = "Use this when it is hung or\nserves errors.\n\nThen:\n- look\n- restart it,\nonce"
    runbook = a_runbook().model_copy(update={"description": broken})

    view = launch.launch(launch.Offer(runbooks=RUNBOOKS, runbook=runbook))

    told = [node["text"] for node in nodes(view) if node.get("type") == "text" and "hung" in node["text"]]
    assert told == ["\nUse this when it is hung or serves errors.\n\nThen:\n- look\n- restart it, once"]


def test_first_the_runbook_is_chosen_in_order_of_name() -> None:
    view = launch.launch(launch.Offer(runbooks=RUNBOOKS))

    (picker,) = (node for node in nodes(view) if node.get("type") == "static_select")
    assert validate_view(view) == []
    assert picker["action_id"] == ids.ACTION_LAUNCH_RUNBOOK
    assert [option["value"] for option in picker["options"]] == ["clean-disk", "restart-web"]


def test_the_choice_of_a_runbook_redraws_the_dialog() -> None:
    assert form(a_runbook())[ids.BLOCK_RUNBOOK]["dispatch_action"] is True


def test_every_kind_of_parameter_gets_its_input() -> None:
    blocks = form(
        a_runbook(
            service={"type": "string", "pattern": "[a-z]+", "description": "Its unit.", "default": "nginx"},
            lines={"type": "integer", "min": 1, "max": 9},
            force={"type": "boolean", "default": "false"},
            level={"type": "choice", "choices": ["soft", "hard"]},
            peer={"type": "vm"},
        )
    )

    kinds = {name: blocks[f"parameter:{name}"]["element"]["type"] for name in ("service", "lines", "force", "level")}
    assert kinds == {
        "service": "plain_text_input",
        "lines": "plain_text_input",
        "force": "static_select",
        "level": "static_select",
    }
    assert blocks["parameter:service"]["element"]["initial_value"] == "nginx"
    assert blocks["parameter:service"]["optional"] is True
    assert "Its unit. (pattern [a-z]+, default nginx)" in blocks["parameter:service"]["hint"]["text"]
    assert "a whole number, at least 1, at most 9" in blocks["parameter:lines"]["hint"]["text"]
    assert blocks["parameter:lines"].get("optional") in (None, False)
    assert blocks["parameter:force"]["element"]["initial_option"]["value"] == "false"
    assert "parameter:peer" in blocks


def test_only_machines_that_the_runbook_allows_are_offered() -> None:
    machines = [(a_vm("web-01"), "running"), (a_vm("db-01"), "running"), (a_vm("web-02", os="windows"), "running")]

    options = form(a_runbook(), machines=machines)[ids.BLOCK_VM]["element"]["options"]

    assert [(option["value"], option["text"]["text"]) for option in options] == [
        ("rg-web/web-01", "rg-web/web-01 (running)")
    ]


@pytest.mark.parametrize("count", [0, 101])
def test_with_no_machines_or_too_many_the_name_is_typed(count: int) -> None:
    machines = [(a_vm(f"web-{number}"), "running") for number in range(count)]

    element = form(a_runbook(), machines=machines)[ids.BLOCK_VM]["element"]

    assert element["type"] == "plain_text_input"


def test_the_parameter_vm_is_the_machine_itself_and_asked_for_once() -> None:
    blocks = form(a_runbook(vm={"type": "vm"}))

    assert ids.BLOCK_VM in blocks
    assert "parameter:vm" not in blocks


def test_a_channel_is_asked_for_only_where_none_is_known() -> None:
    assert ids.BLOCK_CHANNEL not in form(a_runbook())
    assert ids.BLOCK_CHANNEL in form(a_runbook(), ask_channel=True)


def test_what_was_typed_can_be_read_back() -> None:
    state = {
        ids.BLOCK_RUNBOOK: {
            ids.ACTION_LAUNCH_RUNBOOK: {"type": "static_select", "selected_option": {"value": "restart-web"}}
        },
        ids.BLOCK_VM: {ids.INPUT: {"type": "plain_text_input", "value": "web-01"}},
        "parameter:service": {ids.INPUT: {"type": "plain_text_input", "value": "nginx"}},
        "parameter:empty": {ids.INPUT: {"type": "plain_text_input", "value": None}},
        ids.BLOCK_CHANNEL: {ids.INPUT: {"type": "conversations_select", "selected_conversation": "C0OPS"}},
    }

    typed = launch.typed_values(state)

    assert typed[ids.BLOCK_RUNBOOK] == "restart-web"
    assert typed[ids.BLOCK_VM] == "web-01"
    assert typed[ids.BLOCK_CHANNEL] == "C0OPS"
    assert launch.parameter_values(typed) == {"service": "nginx"}


def test_without_runbooks_the_dialog_says_so() -> None:
    view = launch.launch(launch.Offer())

    assert validate_view(view) == []
    assert "There are no runbooks yet" in json.dumps(view)


@settings(max_examples=40, deadline=None)
@given(titles=st.lists(ODD, max_size=150), machines=st.lists(st.tuples(ODD, ODD), max_size=130), value=ODD)
def test_the_dialog_is_valid_whatever_is_offered(
    titles: list[str], machines: list[tuple[str, str]], value: str
) -> None:
    runbooks = [(f"runbook-{number}", title) for number, title in enumerate(titles)] or RUNBOOKS
    offered = [
        (Target(connector="azure", id="x", name=f"web-{name}", group="rg-web"), power) for name, power in machines
    ]
    text = value[:1000]

    view = launch.launch(
        launch.Offer(
            runbooks=runbooks,
            runbook=a_runbook(service={"type": "string", "default": "x" * 1000}),
            machines=offered,
            values={"service": text, "vm": text},
        )
    )

    assert validate_view(view) == []


# ---------------------------------------------------------------- reasons


def test_a_rejection_needs_a_reason_and_carries_only_what_the_button_held() -> None:
    view = reasons.reject("0" * 32)

    (asked,) = (block for block in view["blocks"] if block["type"] == "input")
    assert validate_view(view) == []
    assert view["private_metadata"] == "0" * 32
    assert asked["block_id"] == ids.BLOCK_REASON
    assert asked.get("optional") in (None, False)


@pytest.mark.parametrize("choice", list(Choice))
def test_each_choice_says_what_follows_and_needs_a_reason(choice: Choice) -> None:
    view = reasons.choose(12, 3, choice, metadata="key")

    assert validate_view(view) == []
    assert "Session 12, step 3" in json.dumps(view)
    assert not any(block.get("optional") for block in view["blocks"])


def test_a_cancellation_may_go_without_a_reason() -> None:
    view = reasons.cancel(12, metadata="12")

    assert validate_view(view) == []
    assert [block["optional"] for block in view["blocks"] if block["type"] == "input"] == [True]


def test_what_was_decided_meanwhile_replaces_the_dialog_literally() -> None:
    view = reasons.over(HOSTILE)

    assert validate_view(view) == []
    assert [node for node in nodes(view) if node.get("type") == "mrkdwn"] == []
