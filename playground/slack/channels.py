"""A channel as its members see it, for tests, transcripts and pages.

Messages are pictures, taken when asked for: a later change does not reach them. It must never hand out the
workspace's own records.
"""

import copy

from playground.slack.model import File, Message
from playground.slack.state import World


class ChannelView:
    """One channel; ask again for newer messages."""

    def __init__(self, world: World, channel_id: str) -> None:
        self._world = world
        self.id = channel_id

    def all(self) -> list[Message]:
        """Every message, replies included, oldest first."""
        with self._world.lock:
            return copy.deepcopy(self._world.channels[self.id].messages)

    def messages(self) -> list[Message]:
        """What stands in the channel itself: no replies, unless they were broadcast."""
        return [message for message in self.all() if message.broadcast or not message.is_reply]

    def thread(self, ts: str) -> list[Message]:
        """The parent and its replies."""
        return [message for message in self.all() if ts in {message.ts, message.thread_ts}]

    def message(self, ts: str) -> Message:
        """The message as it is now."""
        return next(message for message in self.all() if message.ts == ts)

    def files(self) -> list[File]:
        return [file for message in self.all() for file in message.files]

    def invite(self, user_id: str) -> None:
        with self._world.lock:
            self._world.channels[self.id].members.add(user_id)
            self._world.touch()

    def remove(self, user_id: str) -> None:
        with self._world.lock:
            self._world.channels[self.id].members.discard(user_id)
            self._world.touch()

    def archive(self) -> None:
        with self._world.lock:
            self._world.channels[self.id].is_archived = True
            self._world.touch()
