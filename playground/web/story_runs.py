"""Playing a story on the page: at reading speed, line by line, one at a time.

The story itself is the one that also runs without a page. This only listens to it and lets people keep up; it
must never change what the story does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from playground.slack.results import Refused
from playground.slack.server import SlackWorkspace
from playground.stage import Stage
from playground.stories import STORIES, Scene, StoryFailed
from playground.transcript import Transcript
from playground.web.people_acts import Act

Json = dict[str, Any]


class StartStory(Act):
    """`pace` is how many seconds to wait before each step of the story."""

    name: str
    pace: float = 1.5


class StopStory(Act):
    """End the story that is being played."""


@dataclass(kw_only=True)
class Run:
    """One showing of a story."""

    name: str
    title: str
    watch: str
    state: str = "running"
    lines: list[Json] = field(default_factory=list)
    channel: str = ""
    thread: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def as_json(self) -> Json:
        told = {key: getattr(self, key) for key in ("name", "title", "watch", "state", "channel", "thread")}
        return told | {"lines": list(self.lines)}


class Telling(Transcript):
    """Writes the story's lines into its run instead of a terminal, and pauses before each step."""

    def __init__(self, slack: SlackWorkspace, run: Run, *, pace: float, where: Callable[[], tuple[str, str]]) -> None:
        super().__init__(slack, Console(quiet=True))
        self._world = slack.world
        self._run = run
        self._pace = pace
        self._where = where

    @property
    def stopped(self) -> bool:
        return self._run.stopped.is_set()

    def narrate(self, text: str) -> None:
        self._tell("narrator", "", text)

    def typed(self, name: str, line: str) -> None:
        self._tell("deed", name, line)

    def whisper(self, name: str, text: str) -> None:
        self._tell("whisper", name, text)

    def compared(self, what: str, before: int, after: int, *, expected: int) -> None:
        self._tell("effects", "", what, before=before, after=after, expected=expected)

    def catch_up(self, channel: str, ts: str) -> None:
        """The page shows the thread itself."""

    def _tell(self, kind: str, who: str, text: str, **more: int) -> None:
        self._run.channel, self._run.thread = self._where()
        self._run.lines.append({"kind": kind, "who": who, "text": text} | more)
        self._world.touch()
        if self._run.stopped.wait(self._pace if kind != "whisper" else 0.0):
            raise StoryFailed("it was stopped by hand")


class StoryTeller:
    """Plays one story at a time in a thread of its own."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, stage: Stage, act: StartStory) -> Json:
        story = STORIES.get(act.name)
        if story is None:
            raise LookupError(f"there is no story {act.name!r}; there are: {', '.join(STORIES)}")
        with self._lock:
            if self._run and self._run.state == "running":
                raise Refused(f"the story {self._run.title!r} is being played; stop it first")
            run = self._run = Run(name=story.name, title=story.title, watch=story.watch)
            arguments = (stage, run, act.pace)
            self._thread = threading.Thread(target=self._play, args=arguments, name="playground-story", daemon=True)
            self._thread.start()
        return {"error": ""}

    def stop(self, stage: Stage | None = None, act: StopStory | None = None) -> Json:  # noqa: ARG002 - as every act
        if self._run:
            self._run.stopped.set()
            if stage:
                stage.slack.world.touch()  # wakes whatever the story waits for
        return {"error": ""}

    def records(self) -> dict[str, Json]:
        """The stories there are, and the one that is or was played."""
        known = {
            f"story:{story.name}": {"name": story.name, "title": story.title, "watch": story.watch}
            for story in STORIES.values()
        }
        return known | ({"telling": self._run.as_json()} if self._run else {})

    def _play(self, stage: Stage, run: Run, pace: float) -> None:
        scene = Scene(stage, Console(quiet=True))
        channel_id = stage.slack.channel(scene.channel).id
        scene.log = Telling(stage.slack, run, pace=pace, where=lambda: (channel_id, scene.root_ts))
        try:
            STORIES[run.name].tell(scene)
            scene.log.narrate("The story went as told.")
            run.state = "passed"
        except (StoryFailed, LookupError, TimeoutError) as failure:
            run.lines.append({"kind": "narrator", "who": "", "text": f"The story ends here: {failure}"})
            run.state = "stopped" if run.stopped.is_set() else "failed"
        finally:
            stage.slack.world.touch()
