"""What every Socket Mode client lives through: hello, warnings, refreshes, cuts, and a tenth and eleventh socket."""

from __future__ import annotations

import pytest

from playground.slack import FaultKind, SlackWorkspace
from tests.conformance.apps import SOCKETS, Bot, Steps, Tools, Way, bot_for

RECONNECT_SECONDS = 30  # what the slowest client may need on a busy machine; most need none

pytestmark = pytest.mark.parametrize("way", SOCKETS)


def answer(tools: Tools) -> Steps:
    yield tools.ack(f"answered {tools.body['text']}")


def types(ws: SlackWorkspace, text: str) -> str:
    return ws.person("alice").types(f"/runbook {text}", channel="ops").text


def opened(ws: SlackWorkspace) -> int:
    return len(ws.journal.of("socket", "open"))


def came_back(ws: SlackWorkspace, before: int) -> bool:
    """A new connection is open and the old one gone: what is sent to one that is being closed, a client loses."""
    return opened(ws) > before and ws.open_sockets == 1


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_client_that_is_asked_to_leave_comes_back_and_answers(ws: SlackWorkspace, bot: Bot, reason: str) -> None:
    bot.on("command", "/runbook", answer)
    before = opened(ws)

    ws.refresh_sockets(reason)

    ws.wait_for(lambda: came_back(ws, before), RECONNECT_SECONDS)
    assert types(ws, "again") == "answered again"


def test_client_that_is_cut_off_comes_back_and_answers(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("command", "/runbook", answer)
    before = opened(ws)

    ws.cut_sockets()

    ws.wait_for(lambda: came_back(ws, before), RECONNECT_SECONDS)
    assert types(ws, "again") == "answered again"


def test_nobody_connected_is_an_error_that_people_see(ws: SlackWorkspace, bot: Bot) -> None:
    bot.close()
    ws.wait_for(lambda: ws.open_sockets == 0)

    assert "dispatch_failed" in types(ws, "x")


def test_two_clients_of_one_app_share_the_deliveries(ws: SlackWorkspace, bot: Bot, way: Way) -> None:
    bot.on("command", "/runbook", answer)
    second = bot_for(way, ws)
    second.on("command", "/runbook", answer)
    before = opened(ws)
    second.connect(way)
    ws.wait_for(lambda: opened(ws) > before)

    said = [types(ws, str(number)) for number in range(8)]
    second.close()

    assert said == [f"answered {number}" for number in range(8)]


def test_delivery_swallowed_on_the_way_times_out_for_the_person(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("command", "/runbook", answer)
    ws.faults.switch_on(FaultKind.SILENT_SOCKET, on="slash_commands")

    def pass_time() -> str:
        ws.wait_for(lambda: ws.faults.count(FaultKind.SILENT_SOCKET) and ws.clock.timers)
        ws.clock.advance(3)
        return ""

    lost, _ = ws.at_once(lambda: types(ws, "lost"), pass_time)

    assert "operation_timeout" in lost
    assert types(ws, "again") == "answered again"
