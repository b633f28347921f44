"""Socket Mode: tickets, the number of sockets, redelivery, refresh, and acknowledgements that wander."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from slack_bolt import App
from slack_sdk import WebClient

from playground.slack import FaultKind, SlackWorkspace

Json = dict[str, Any]
Connect = Callable[[App], Any]
Talk = Callable[[aiohttp.ClientSession], Awaitable[Any]]


def url_of(ws: SlackWorkspace) -> str:
    return str(WebClient(base_url=ws.base_url).apps_connections_open(app_token=ws.app_token)["url"])


def talk(scenario: Talk) -> Any:
    """Run a hand-made client."""

    async def run() -> Any:
        async with aiohttp.ClientSession(trust_env=False) as session:
            return await asyncio.wait_for(scenario(session), 10)

    return asyncio.run(run())


async def next_of(socket: aiohttp.ClientWebSocketResponse, kind: str) -> Json:
    while True:
        message: Json = json.loads((await socket.receive()).data)
        if message["type"] == kind:
            return message


async def in_thread(call: Callable[..., Any], *args: Any, **more: Any) -> Any:
    return await asyncio.to_thread(call, *args, **more)


def test_ticket_opens_one_socket_only(ws: SlackWorkspace):
    url = url_of(ws)

    async def twice(session: aiohttp.ClientSession) -> int:
        async with session.ws_connect(url) as socket:
            await next_of(socket, "hello")
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url)
            return refused.value.status

    assert talk(twice) == 403


def test_connection_needs_the_app_token(ws: SlackWorkspace):
    reply = WebClient(ws.bot_token, base_url=ws.base_url).auth_test()

    assert reply["ok"]
    with pytest.raises(Exception, match="not_allowed_token_type"):
        WebClient(base_url=ws.base_url).apps_connections_open(app_token=ws.bot_token)


def test_ten_sockets_are_welcome_and_the_eleventh_is_turned_away(ws: SlackWorkspace):
    async def crowd(session: aiohttp.ClientSession) -> list[Any]:
        sockets, seen = [], []
        for _ in range(11):
            socket = await session.ws_connect(await in_thread(url_of, ws))
            first = json.loads((await socket.receive()).data)
            seen.append(first.get("num_connections") or first.get("reason"))
            sockets.append(socket)
        await asyncio.gather(*(socket.close() for socket in sockets))
        return seen

    assert talk(crowd) == [*range(1, 11), "too_many_websockets"]


def test_acknowledgement_is_accepted_on_another_socket(ws: SlackWorkspace):
    async def crossed(session: aiohttp.ClientSession) -> Any:
        sockets = [await session.ws_connect(await in_thread(url_of, ws)) for _ in range(2)]
        for socket in sockets:
            await next_of(socket, "hello")
        typing = asyncio.ensure_future(in_thread(ws.person("alice").types, "/runbook x", channel="ops"))
        reading = [asyncio.ensure_future(next_of(socket, "slash_commands")) for socket in sockets]
        done, waiting = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        envelope = done.pop().result()
        other = sockets[1] if reading[0].done() else sockets[0]
        await other.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "crossed"}})
        result = await typing
        for task in waiting:
            task.cancel()
        await asyncio.gather(*(socket.close() for socket in sockets))
        return result

    assert talk(crossed).text == "crossed"


def test_unacknowledged_event_comes_again_with_its_id_and_a_reason(ws: SlackWorkspace):
    async def ignored_once(session: aiohttp.ClientSession) -> list[Json]:
        async with session.ws_connect(await in_thread(url_of, ws)) as socket:
            await next_of(socket, "hello")
            opening = asyncio.ensure_future(in_thread(ws.person("bob").opens_home))
            first = await next_of(socket, "events_api")
            ws.clock.advance(3)
            second = await next_of(socket, "events_api")
            await socket.send_json({"envelope_id": second["envelope_id"]})
            assert (await opening).timed_out
            return [first, second]

    first, second = talk(ignored_once)

    assert first["payload"]["event_id"] == second["payload"]["event_id"]
    assert first["envelope_id"] != second["envelope_id"]
    assert (first["retry_attempt"], first["retry_reason"]) == (0, "")
    assert (second["retry_attempt"], second["retry_reason"]) == (1, "timeout")


def test_event_is_given_up_after_three_retries(ws: SlackWorkspace):
    ws.person("bob").opens_home()

    for waited in (60, 300, 3600):
        ws.wait_for(lambda: ws.clock.timers or len(ws.journal.deliveries()) == 4)
        ws.clock.advance(waited)

    ws.wait_for(lambda: len(ws.journal.deliveries("app_home_opened")) == 4)
    assert "retry 3 (connection_failed)" in ws.journal.deliveries()[-1].note


def test_client_changes_sockets_on_a_refresh_and_stays_reachable(ws: SlackWorkspace, app: App, connect: Connect):
    app.command("/runbook")(lambda ack: ack("still here"))
    connect(app)

    ws.refresh_sockets()
    ws.wait_until_connected()

    assert ws.person("alice").types("/runbook x", channel="ops").text == "still here"
    ws.wait_for(lambda: ws.open_sockets == 1)
    assert len(ws.journal.of("socket", "open")) == 2


def test_warning_makes_the_client_reconnect_at_once(ws: SlackWorkspace, app: App, connect: Connect):
    connect(app)

    ws.refresh_sockets("warning")

    ws.wait_for(lambda: len(ws.journal.of("socket", "open")) == 2)
    ws.wait_for(lambda: len(ws.journal.of("socket", "closed")) == 1)


def test_debug_reconnects_shortens_a_connection_to_six_minutes(ws: SlackWorkspace):
    async def watch(session: aiohttp.ClientSession) -> list[str]:
        url = await in_thread(url_of, ws)
        async with session.ws_connect(url + "&debug_reconnects=true") as socket:
            hello = await next_of(socket, "hello")
            assert hello["debug_info"]["approximate_connection_time"] == 360
            reasons = []
            for seconds in (350, 10):
                await in_thread(ws.wait_for, lambda: ws.clock.timers)
                ws.clock.advance(seconds)
                reasons.append((await next_of(socket, "disconnect"))["reason"])
            return reasons

    assert talk(watch) == ["warning", "refresh_requested"]


def test_client_comes_back_after_a_cut(ws: SlackWorkspace, app: App, connect: Connect):
    app.command("/runbook")(lambda ack: ack("back"))
    connect(app)

    ws.cut_sockets()

    ws.wait_for(lambda: len(ws.journal.of("socket", "open")) == 2)
    assert ws.person("alice").types("/runbook x", channel="ops").text == "back"


def test_silent_socket_swallows_a_delivery(ws: SlackWorkspace, app: App, connect: Connect):
    app.command("/runbook")(lambda ack: ack("heard"))
    connect(app)
    ws.faults.switch_on(FaultKind.SILENT_SOCKET, on="slash_commands")

    def jump() -> Any:
        ws.wait_for(lambda: ws.faults.count(FaultKind.SILENT_SOCKET))
        ws.clock.advance(4)

    lost, _ = ws.at_once(lambda: ws.person("alice").types("/runbook x", channel="ops"), jump)

    assert lost.timed_out
    assert ws.person("alice").types("/runbook x", channel="ops").text == "heard"


def test_person_who_waits_when_the_workspace_stops_is_told():
    with SlackWorkspace.start(ack_seconds=3600) as ws:

        async def stop_while_alice_waits(session: aiohttp.ClientSession) -> None:
            async with session.ws_connect(await in_thread(url_of, ws)) as socket:
                await next_of(socket, "hello")
                typed = asyncio.create_task(in_thread(ws.person("alice").types, "/runbook x", channel="ops"))
                await next_of(socket, "slash_commands")
                await in_thread(ws.stop)
                with pytest.raises(RuntimeError, match="stopped before the answer came"):
                    await typed

        talk(stop_while_alice_waits)


def test_silent_socket_leaves_pings_unanswered(ws: SlackWorkspace):
    ws.faults.switch_on(FaultKind.SILENT_SOCKET, times=None)

    async def ping(session: aiohttp.ClientSession) -> aiohttp.WSMsgType:
        async with session.ws_connect(await in_thread(url_of, ws), autoping=False) as socket:
            await next_of(socket, "hello")
            await socket.ping(b"unanswered")
            ws.faults.clear()
            await in_thread(ws.journal.add, "test", "cleared")
            await socket.ping(b"answered")
            return (await socket.receive()).data

    answer = talk(ping)

    assert answer in (b"answered", b"unanswered")  # the first ping may be read after the fault is over


def test_events_arrive_out_of_order(ws: SlackWorkspace, app: App, connect: Connect):
    order: list[str] = []
    app.event("app_home_opened")(lambda event: order.append(event["user"]))
    connect(app)
    ws.faults.switch_on(FaultKind.OUT_OF_ORDER, on="events_api")

    def second() -> Any:
        ws.wait_for(lambda: ws.faults.count(FaultKind.OUT_OF_ORDER))
        return ws.person("carol").opens_home()

    ws.at_once(ws.person("bob").opens_home, second)

    assert [entry.request["event"]["user"] for entry in ws.journal.deliveries()] == ["U0CAROL", "U0BOB"]


def test_stray_acknowledgement_is_noted(ws: SlackWorkspace):
    async def stray(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(await in_thread(url_of, ws)) as socket:
            await socket.send_str("no json")
            await socket.send_json({"envelope_id": "unknown"})
            await in_thread(ws.wait_for, lambda: ws.journal.of("socket", "stray"))

    talk(stray)

    assert len(ws.journal.of("socket", "stray")) == 1


def test_bots_own_messages_are_echoed_where_subscribed(ws: SlackWorkspace, client: WebClient):
    ws.world.app.events |= {"message.channels"}
    ts = client.chat_postMessage(channel="C0OPS", text="echo")["ts"]
    client.chat_update(channel="C0OPS", ts=ts, text="new")
    client.chat_delete(channel="C0OPS", ts=ts)
    client.chat_postMessage(channel="C0PRIVATE", text="not subscribed to groups")

    def subtypes() -> set[Any]:
        return {entry.request["event"].get("subtype") for entry in ws.journal.deliveries("message")}

    ws.wait_for(lambda: subtypes() == {None, "message_changed", "message_deleted"})
    channels = {entry.request["event"]["channel"] for entry in ws.journal.deliveries("message")}
    assert channels == {"C0OPS"}
