"""Several real processes on one real PostgreSQL, between one simulated Slack and one simulated Azure.

Slack reaches them as it would: over sockets, or over HTTP through something that chooses a living one. A test can
also have the same delivery reach every replica. Nothing here may look into a replica.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import urllib.error
import urllib.request
from pathlib import Path

from playground.slack.delivery import Answer, Delivery, Transport
from playground.slack.http_delivery import HttpSender
from playground.stage import BotProcess, Door, Stage, free_port
from tests.wire import Wire

PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 3


class Replica(BotProcess):
    """One process of the product, with a log and a port of its own."""

    def __init__(
        self, stage: Stage, name: str, *, door: Door = "http", code: Path | None = None, wire: Wire | None = None
    ) -> None:
        folder = stage.folder / name
        folder.mkdir()
        self.name, self.door, self.port = name, door, free_port()
        environment = dict(stage.bot.environment)
        environment["RUNBOOK_HTTP_PORT"] = str(self.port)
        if code is None:
            environment["RUNBOOK_LEASE_SECONDS"] = str(LEASE_SECONDS)
        else:
            environment["PYTHONPATH"] = str(code)
        if wire is not None:
            environment["DATABASE_URL"] = wire.url
        if door == "socket":
            del environment["SLACK_SIGNING_SECRET"]
            environment["SLACK_APP_TOKEN"] = stage.slack.app_token
        super().__init__(folder, environment)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does, as a paused machine."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def logged(self, word: str) -> list[str]:
        return [line for line in self.log_lines() if word in line]


class Doors(Transport):
    """Where Slack's deliveries go: to a replica that takes them, or to every one."""

    def __init__(self) -> None:
        self.open: list[Transport] = []
        self.to_everyone = False

    async def send(self, delivery: Delivery) -> Answer:
        if self.to_everyone:
            answers = await asyncio.gather(*(door.send(delivery) for door in self.open))
            return next((answer for answer in answers if answer.acked), answers[0])
        answer = Answer(acked=False, reason="nobody there")
        for door in self.open:
            answer = await door.send(delivery)
            if answer.acked:
                break
        return answer


class Fleet:
    """The replicas of one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.doors = Doors()
        self.replicas: list[Replica] = []
        self._numbers = 0
        self._posts: list[HttpSender] = []
        stage.slack._dispatcher.transport = self.doors

    def start(self, *doors: Door, code: Path | None = None, wire: Wire | None = None) -> list[Replica]:
        """Start so many replicas at once and wait until all serve; they reach the database by the wire, if given."""
        started = []
        for door in doors:
            self._numbers += 1
            started.append(Replica(self.stage, f"replica-{self._numbers}", door=door, code=code, wire=wire))
        for replica in started:
            replica.start()
        for replica in started:
            wait_for(lambda replica=replica: replica.ready() or self._still_starts(replica), f"{replica.name} to serve")
        sockets = sum(replica.door == "socket" for replica in started)
        if sockets:
            self.stage.slack.wait_until_connected(2 * sockets, PATIENCE_SECONDS)
        self.replicas += started
        self.reach(*self.replicas)
        return started

    def reach(self, *replicas: Replica, everyone: bool = False) -> None:
        """Let Slack's deliveries go to these replicas only: the first that takes one, or every one of them."""
        slack = self.stage.slack
        senders: list[Transport] = [
            HttpSender(slack.world, faults=slack.faults, ack_seconds=3.0, request_url=f"{replica.url}/slack/events")
            for replica in replicas
            if replica.door == "http"
        ]
        if any(replica.door == "socket" for replica in replicas):
            senders.append(slack._hub)
        self._hang_up()
        self._posts = [sender for sender in senders if isinstance(sender, HttpSender)]
        self.doors.open, self.doors.to_everyone = senders, everyone

    def _hang_up(self) -> None:
        for sender in self._posts:
            self.stage.slack._run(sender.stop())

    def end(self) -> None:
        self._hang_up()
        for replica in self.replicas:
            if replica.running:
                replica.thaw()
                replica.kill()

    @staticmethod
    def _still_starts(replica: Replica) -> bool:
        if not replica.running:
            tail = "\n".join(replica.log_lines()[-20:])
            raise RuntimeError(f"{replica.name} has ended while starting; its log ends with:\n{tail}")
        return False


def wait_for(predicate, what: str, seconds: float = PATIENCE_SECONDS):
    """Wait for something that other processes do; there is no condition to wait on."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if found := predicate():
            return found
        pause.wait(0.1)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}")
