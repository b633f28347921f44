"""Two connections: what gets through when one is lost, and how a stranger's connection shows."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.socket_mode.builtin.connection import Connection

from bot.slack import listening_client
from bot.socket_mode import SocketMode, hang_up
from bot.world import SystemClock
from engine.errors import Misconfigured
from playground.slack import SlackWorkspace
from tests.bot.listeners.conftest import _no_proxy, workspace

__all__ = ["_no_proxy", "workspace"]


@pytest.fixture
def bolt(workspace: SlackWorkspace):
    """A Bolt app that answers every command."""
    app = App(
        client=listening_client(workspace.bot_token, base_url=workspace.base_url),
        authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T0DEMO", bot_token="xoxb-x"),
        token_verification_enabled=False,
    )
    app.command("/runbook")(lambda ack: ack("here"))
    yield app
    app.listener_runner.listener_executor.shutdown()


@pytest.fixture
def sockets(bolt: App, workspace: SlackWorkspace):
    made = SocketMode(bolt, workspace.app_token, clock=SystemClock())
    made.start()
    workspace.wait_until_connected(2)
    yield made
    made.close()


class Overtaken:
    """A connection's lock that is had only when the thread reading from the connection has closed the socket."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        if self._connection.sock is not None:
            self._connection.sock.close()
        self._connection.sock = None

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


class Told:
    """The state of a connection, which counts how often its reader was told to end."""

    def __init__(self) -> None:
        self._ends = False
        self.times = threading.Semaphore(0)

    @property
    def terminated(self) -> bool:
        return self._ends

    @terminated.setter
    def terminated(self, ends: bool) -> None:
        self._ends = ends
        if ends:
            self.times.release()


def test_two_connections_are_open_and_ready(sockets: SocketMode):
    health = sockets.health()

    assert (health.connected, health.wanted, health.trouble) == (2, 2, "")


def test_commands_are_answered(sockets: SocketMode, workspace: SlackWorkspace):
    assert workspace.person("alice").types("/runbook x", channel="ops").text == "here"


def test_closing_ends_readiness_and_every_connection(bolt: App, workspace: SlackWorkspace):
    made = SocketMode(bolt, workspace.app_token, clock=SystemClock())
    made.start()
    workspace.wait_until_connected(2)

    made.close()

    assert made.health().connected == 0
    workspace.wait_for(lambda: workspace.open_sockets == 0)


def test_socket_that_its_reader_closes_first_does_not_stop_the_closing(
    sockets: SocketMode, bolt: App, workspace: SlackWorkspace
):
    handler = SocketModeHandler(bolt, workspace.app_token)
    handler.connect()
    workspace.wait_until_connected(3)
    handler.client.current_session.sock_receive_lock = Overtaken(handler.client.current_session)

    hang_up(handler)

    assert not handler.client.current_session_runner.is_alive()
    workspace.wait_for(lambda: workspace.open_sockets == 2)


def test_refresh_leaves_no_gap(sockets: SocketMode, workspace: SlackWorkspace):
    workspace.refresh_sockets()
    workspace.wait_until_connected(2)

    assert workspace.person("alice").types("/runbook x", channel="ops").text == "here"


def test_wrong_app_token_is_a_sentence(bolt: App):
    made = SocketMode(bolt, "xapp-wrong", clock=SystemClock())

    with pytest.raises(Misconfigured, match="SLACK_APP_TOKEN"):
        made.start()

    made.close()


@pytest.mark.parametrize(
    ("greetings", "strangers"),
    [
        ([(0, 1), (1, 2)], 0),
        ([(0, 1), (1, 2), (0, 3)], 0),  # a refresh opens the new connection first
        ([(0, 1), (1, 3)], 1),
        ([(0, 2), (1, 4)], 2),
        ([(0, 1), (1, 2), (0, 4)], 1),
    ],
)
def test_connections_that_are_not_ours_are_counted(greetings, strangers: int, bolt: App):
    made = SocketMode(bolt, "xapp-x", clock=SystemClock())
    for number, reported in greetings:
        made._heard(number, None, {"type": "hello", "num_connections": reported})

    assert made.health().strangers == strangers
    made.close()


def test_connections_of_other_replicas_are_no_strangers(bolt: App):
    made = SocketMode(bolt, "xapp-x", clock=SystemClock(), replicas=3)
    made._heard(0, None, {"type": "hello", "num_connections": 6})

    assert made.health().strangers == 0
    made.close()


def test_reader_that_only_begins_when_it_is_told_to_end_does_not_stop_the_closing(
    sockets: SocketMode, bolt: App, workspace: SlackWorkspace
):
    handler = SocketModeHandler(bolt, workspace.app_token)
    client, told, looked = handler.client, Told(), threading.Event()

    def begins_late() -> None:
        if client.current_session is not None:
            looked.set()
            told.times.acquire()
            told.times.acquire()
            with suppress(TimeoutError):  # whoever closes at once has closed the socket by then
                workspace.wait_for(lambda: not client.current_session.is_active(), 1)
            told.terminated = False  # what the SDK does as it begins
            client.current_session.run_until_completion(told)

    client.current_session_runner.target = begins_late
    handler.connect()
    client.current_session_state = told  # connecting makes a new one
    workspace.wait_until_connected(3)
    assert looked.wait(10)

    closing = threading.Thread(target=hang_up, args=(handler,), daemon=True)
    closing.start()
    closing.join(20)

    assert not closing.is_alive()
    workspace.wait_for(lambda: workspace.open_sockets == 2)
