"""The page itself: its routes, the threads that watch the workspace and the cloud, and the acts by name.

Routes run on the workspace's loop, so whatever waits is handed to a pool of threads. It must never answer a
request that the guard has not let in.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from playground.slack.results import Refused
from playground.stage import Stage
from playground.web import outside_acts, people_acts
from playground.web.azure_records import cloud_records, request_details
from playground.web.board import Board
from playground.web.guard import Guard
from playground.web.people_acts import Act
from playground.web.slack_records import journal_records, workspace_records
from playground.web.story_runs import StartStory, StopStory, StoryTeller

STATIC = Path(__file__).with_name("static")
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
CALM_SECONDS = 0.04  #: changes that close together are shown together
CLOUD_SECONDS = 0.5  #: files and processes change without a word, so the cloud is looked at this often
HEARTBEAT_SECONDS = 15.0
LOG_LINES = 400
Json = dict[str, Any]
Deed = Callable[[Stage, Any], Json]


class Page:
    """Give its `routes` to the workspace, then `open` it for the stage."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.board = Board()
        self._azure = outside_acts.AzureSwitches()
        self._machines = outside_acts.Machines()
        self._stories = StoryTeller()
        self._acts = self._named_acts()
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="playground-page")
        self._stage: Stage | None = None
        self._ended = threading.Event()
        self._nudged = threading.Event()
        self._watchers: list[threading.Thread] = []

    def routes(self) -> list[web.RouteDef]:
        anyone, known = self.guard.anyone_here, self.guard.with_token
        return [
            web.get("/", anyone(self._index)),
            web.get("/page/static/{name}", anyone(self._file)),
            web.get("/page/live", known(self._live)),
            web.post("/page/act/{name}", known(self._act)),
            web.get("/page/entry/{number}", known(self._entry)),
            web.get("/page/request/{number}", known(self._request)),
            web.get("/page/file/{id}", known(self._upload)),
            web.get("/page/log", known(self._log)),
        ]

    def open(self, stage: Stage) -> str:
        """Start to watch the stage; return the address with this run's token."""
        self._stage = stage
        for watch in (self._watch_slack, self._watch_cloud):
            thread = threading.Thread(target=watch, args=(stage,), name="playground-page", daemon=True)
            self._watchers.append(thread)
            thread.start()
        return f"{stage.slack.base_url.removesuffix('api/')}#token={self.guard.token}"

    def close(self) -> None:
        """Send every tab away and end what was started here; before the stage ends."""
        self._ended.set()
        self._stories.stop()
        self._nudged.set()
        if self._stage:
            self._stage.slack.world.touch()
        self.board.close()
        for thread in self._watchers:
            thread.join(5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def stage(self) -> Stage:
        if self._stage is None:
            raise web.HTTPServiceUnavailable(text="The playground is starting; reload this page in a moment.")
        return self._stage

    def _named_acts(self) -> Mapping[str, tuple[type[Act], Deed]]:
        people, outside = people_acts, outside_acts
        return {
            "type": (people.Line, people.types),
            "click": (people.Click, people.clicks),
            "both": (people.BothClick, people.both_click),
            "view-click": (people.ViewClick, people.clicks_in_view),
            "submit": (people.Submit, people.submits),
            "close": (people.Close, people.closes),
            "home": (people.ByPerson, people.opens_home),
            "reload": (people.ByPerson, people.reloads),
            "shortcut": (people.Shortcut, people.starts_shortcut),
            "message-shortcut": (people.MessageShortcut, people.starts_message_shortcut),
            "vm": (outside.VmDeed, self._machines.does),
            "quirk": (outside.VmQuirk, outside.switches_quirk),
            "slack-fault": (outside.SlackFaultOn, outside.switches_slack_fault_on),
            "slack-fault-off": (outside.SlackFaultOff, outside.switches_slack_fault_off),
            "azure-fault": (outside.AzureFaultOn, self._azure.switch_on),
            "azure-fault-off": (outside.AzureFaultOff, self._azure.switch_off),
            "azure": (outside.AzureDeed, outside.does_to_azure),
            "advance": (outside.Advance, outside.moves_clock),
            "bot": (outside.Bot, outside.handles_bot),
            "sockets": (outside.Sockets, outside.handles_sockets),
            "story": (StartStory, self._stories.start),
            "story-stop": (StopStory, self._stories.stop),
        }

    # watching

    def _watch_slack(self, stage: Stage) -> None:
        """Show the workspace after every change. The lock is held from looking to waiting: no change is missed."""
        world = stage.slack.world
        while not self._ended.wait(CALM_SECONDS):
            with world.changed:
                self.board.show("workspace", workspace_records(stage.slack))
                self.board.show("journal", journal_records(stage.slack))
                self.board.show("stories", self._stories.records())
                self.board.show("slack faults", outside_acts.slack_fault_records(stage))
                world.changed.wait(1.0)

    def _watch_cloud(self, stage: Stage) -> None:
        """Show the cloud and the bot's process while anybody looks."""
        while not self._ended.is_set():
            self.board.show("status", {"status": _status(stage)})
            self.board.show("azure faults", self._azure.records())
            if self.board.watched:
                self.board.show("cloud", cloud_records(stage.cloud))
            self._nudged.wait(CLOUD_SECONDS)
            self._nudged.clear()

    # routes

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(body=(STATIC / "index.html").read_bytes(), content_type="text/html", charset="utf-8")

    async def _file(self, request: web.Request) -> web.Response:
        known = {path.name: path for path in STATIC.iterdir()}
        path = known.get(request.match_info["name"])
        if path is None:
            return web.json_response({"error": "no such file"}, status=404)
        return web.Response(body=path.read_bytes(), content_type=KINDS[path.suffix], charset="utf-8")

    async def _live(self, request: web.Request) -> web.StreamResponse:
        """Everything at first, then every change, for as long as the tab is open."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        tab = self.board.join()
        self._nudged.set()
        try:
            with suppress(ConnectionError):
                while (text := await _next(tab.queue)) is not None:
                    await response.write(text.encode())
        finally:
            self.board.leave(tab)
        return response

    async def _act(self, request: web.Request) -> web.Response:
        """Do one act and answer how it went; `error` is what the person is shown."""
        known = self._acts.get(request.match_info["name"])
        if known is None:
            return web.json_response({"error": "the page knows no such act"}, status=404)
        model, deed = known
        try:
            wanted = model.model_validate_json(await request.read())
        except ValidationError as problem:
            return web.json_response({"error": f"not understood: {_first(problem)}"}, status=400)
        answer = await asyncio.get_running_loop().run_in_executor(self._pool, _done, self.stage, deed, wanted)
        self._nudged.set()
        return web.json_response(answer)

    async def _entry(self, request: web.Request) -> web.Response:
        number = _number(request)
        found = self.stage.slack.journal.since(number - 1)[:1] if number > 0 else []
        return _answer(asdict(found[0]) if found else None)

    async def _request(self, request: web.Request) -> web.Response:
        rows, number = self.stage.cloud.ledger.requests(), _number(request)
        return _answer(request_details(rows[number]) if 0 <= number < len(rows) else None)

    async def _upload(self, request: web.Request) -> web.Response:
        with self.stage.slack.world.lock:
            file = self.stage.slack.world.files.get(request.match_info["id"])
        return _answer({"name": file.name, "text": file.text()} if file else None)

    async def _log(self, _request: web.Request) -> web.Response:
        return _answer({"text": "\n".join(self.stage.bot.log_lines()[-LOG_LINES:])})


def _status(stage: Stage) -> Json:
    return {
        "bot": stage.bot.running,
        "pid": stage.bot.pid if stage.bot.running else 0,
        "door": stage.setting.door,
        "sockets": stage.slack.open_sockets,
        "slack_url": stage.slack.base_url,
        "azure_url": stage.cloud.url,
        "bot_url": stage.http_url,
        "speed": stage.setting.speed,
    }


def _done(stage: Stage, deed: Deed, wanted: Act) -> Json:
    """Do it; what is not possible is told to the person in front of the page."""
    try:
        return deed(stage, wanted)
    except (Refused, LookupError, ValueError, StopIteration, TimeoutError, RuntimeError) as error:
        return {"error": str(error.args[0] if error.args else error)}


async def _next(queue: asyncio.Queue[str | None]) -> str | None:
    """The next message in the stream's framing; a comment when there was none for a while."""
    try:
        text = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
    except TimeoutError:
        return ": still here\n\n"
    return None if text is None else f"data: {text}\n\n"


def _first(problem: ValidationError) -> str:
    error = problem.errors()[0]
    return f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}"


def _number(request: web.Request) -> int:
    text = request.match_info["number"]
    return int(text) if text.isdecimal() else -1


def _answer(found: Json | None) -> web.Response:
    if found is None:
        return web.json_response({"error": "not there any more"}, status=404)
    return web.json_response(found, dumps=_dumps)


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)
