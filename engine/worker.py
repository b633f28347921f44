"""The tasks of the work queue, each given the id of a row. Every task may be called twice, late or never."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.dispatch import Dispatcher
from engine.recorder import Patience, Recorder, WorkerParts
from engine.watch import Watcher


class Worker:
    """Carries out what was decided."""

    def __init__(self, parts: WorkerParts) -> None:
        rows = Recorder(parts)
        self._dispatcher = Dispatcher(rows)
        self._watcher = Watcher(rows)

    def tasks(self) -> Mapping[str, Callable[[str], None]]:
        """Return the handlers by task name."""
        return {
            "run": self._dispatcher.run,
            "observe": self._watcher.observe,
            "cancel": self._watcher.cancel,
            "cleanup": self._watcher.cleanup,
        }


__all__ = ["Patience", "Worker", "WorkerParts"]
