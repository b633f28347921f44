"""What is read from Slack's payloads: identity, place, delivery key, and whose payload is refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.payloads import Click, Identity, Submission, caller_of, check, read
from engine.errors import InvalidInput, NotAllowed, RunbookError
from engine.model import Person, Place, Source

PAYLOADS = Path(__file__).parents[1] / "payloads"
KINDS = ("command", "click", "home_click", "submission", "shortcut", "message_action", "app_home_opened")
US = Identity(team="T0DEMO", app="A0RUNBOOKBOT", bot_user="U0RUNBOOKBOT")


def recorded(name: str) -> dict[str, Any]:
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_person_is_read_from_every_kind(kind: str):
    payload = read(recorded(kind))

    assert caller_of(payload).person == Person(team="T0DEMO", user="U0ALICE")
    check(payload, US)


@pytest.mark.parametrize("kind", ["shortcut", "message_action"])
def test_shortcut_that_names_no_app_is_ours_and_one_for_another_app_is_not(kind: str):
    nameless, foreign = recorded(kind), recorded(kind) | {"api_app_id": "A0OTHER"}
    del nameless["api_app_id"]

    check(read(nameless), US)

    with pytest.raises(NotAllowed):
        check(read(foreign), US)


@pytest.mark.parametrize("kind", ["click", "submission", "command"])
def test_any_other_payload_that_names_no_app_is_refused(kind: str):
    nameless = recorded(kind)
    del nameless["api_app_id"]

    with pytest.raises(RunbookError):
        check(read(nameless), US)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("command", "command:1.2.abc"),
        ("click", "click:T0DEMO:U0ALICE:C0OPS:1700000001.000200:approve:1700000002.000300"),
        ("home_click", "click:T0DEMO:U0ALICE::V0HOME:approve:1700000002.000300"),
        ("submission", "view:V0REASON:1700000003.abc"),
        ("shortcut", "shortcut:1.2.abc"),
        ("message_action", "shortcut:1.2.abc"),
        ("app_home_opened", "event:Ev0000000001"),
    ],
)
def test_delivery_key_is_the_same_for_the_same_delivery(kind: str, key: str):
    assert caller_of(read(recorded(kind))).delivery == key


def test_redelivered_click_with_a_new_trigger_has_the_same_key():
    again = recorded("click") | {"trigger_id": "9.9.zzz"}

    assert caller_of(read(again)).delivery == caller_of(read(recorded("click"))).delivery


def test_overlong_key_is_hashed_and_still_distinct():
    one, two = recorded("command"), recorded("command")
    one["trigger_id"], two["trigger_id"] = "1" * 255, "1" * 254 + "2"

    keys = {caller_of(read(body)).delivery for body in (one, two)}

    assert len(keys) == 2
    assert all(len(key) <= 200 for key in keys)


def test_answer_to_a_click_goes_to_its_thread():
    caller = caller_of(read(recorded("click")))

    assert caller.place == Place(team="T0DEMO", channel="C0OPS")
    assert caller.reply.thread_ts == "1700000000.000100"
    assert caller.reply.response_url.startswith("http")


def test_click_in_app_home_comes_through_that_door():
    assert caller_of(read(recorded("home_click"))).actor.source is Source.HOME
    assert caller_of(read(recorded("click"))).actor.source is Source.SLACK


def test_enterprise_is_part_of_the_identity():
    payload = read(recorded("grid_click"))

    assert caller_of(payload).person == Person(enterprise="E0GRID", team="T0DEMO", user="U0ALICE")
    check(payload, Identity(team="T0DEMO", app="A0RUNBOOKBOT", bot_user="B", enterprise="E0GRID"))
    with pytest.raises(NotAllowed):
        check(payload, US)


def test_choice_of_a_menu_is_read_like_a_buttons_value():
    click = read(recorded("select_click"))

    assert isinstance(click, Click)
    assert click.action.choice == "restart-web"


def test_inputs_of_a_dialog_are_read_by_block():
    submission = read(recorded("submission"))

    assert isinstance(submission, Submission)
    assert submission.view.inputs() == {"reason": "wrong machine"}


def test_two_actions_in_one_click_are_refused():
    body = recorded("click")
    body["actions"] *= 2

    with pytest.raises(InvalidInput, match="actions"):
        read(body)


@pytest.mark.parametrize("odd", ["\0", "\ud800"])
def test_text_that_no_database_can_keep_is_refused_at_the_door(odd: str):
    click, submission = recorded("click"), recorded("submission")
    click["user"]["name"] = f"ali{odd}ce"
    submission["view"]["state"]["values"] = {"reason": {"reason": {"type": "plain_text_input", "value": f"a{odd}b"}}}

    for body, place in ((click, "user.name"), (submission, "view.state")):
        with pytest.raises(InvalidInput, match=f"{place}.*cannot be stored"):
            read(body)


def test_unknown_kind_is_left_to_the_fallbacks():
    assert read({"type": "workflow_step_edit"}) is None
    assert read({}) is None


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(KINDS), st.data())
def test_mangled_payload_is_read_or_refused(kind: str, data: st.DataObject):
    body = recorded(kind)
    body[data.draw(st.sampled_from(sorted(body)))] = data.draw(_JUNK)

    with contextlib.suppress(RunbookError):
        payload = read(body)
        if payload is not None:
            caller_of(payload)
            check(payload, US)
        if isinstance(payload, Submission):
            assert all(isinstance(value, str) for value in payload.view.inputs().values())
