"""People: what they type, click, submit and see.

The driver of tests, of the terminal and of the web page. Calls block until the bot has acknowledged or the
time has run out, and may come from any thread but the workspace's own. Nobody can do here what Slack would
not let them do.
"""

import copy
from typing import TYPE_CHECKING, Any

from playground.slack import payloads
from playground.slack.api import ApiError
from playground.slack.api_views import replace_stack
from playground.slack.blocks import VALUE_KEYS, Json, Placed, find_element, keep_choice
from playground.slack.delivery import Answer
from playground.slack.modals import REQUIRED, fill_in, refused_by_slack, settle
from playground.slack.model import Channel, Message, User, View
from playground.slack.responses import show_reply
from playground.slack.results import ActionResult, CommandResult, Outcome, Refused, SubmitResult
from playground.slack.state import Execution

USABLE = frozenset({"button", *VALUE_KEYS})

if TYPE_CHECKING:
    from playground.slack.server import SlackWorkspace


class Person:
    """One person at their Slack client."""

    def __init__(self, workspace: "SlackWorkspace", user: User) -> None:
        self._ws = workspace
        self._world = workspace.world
        self.user = user

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def mention(self) -> str:
        return f"<@{self.user.id}>"

    # the composer

    def types(self, line: str, *, channel: str | None = None, thread: Message | None = None) -> CommandResult:
        """Send a slash command from a channel, or from the conversation with the bot when none is named."""
        name, _, text = line.strip().partition(" ")
        if not name.startswith("/"):
            raise Refused(f"{name!r} is no command; use says() for a message")
        with self._world.lock:
            place = self._place(channel)
            if thread is not None:
                return self._sees_error(f"{name} is not supported in threads. Sorry!")
            if name not in self._world.app.commands:
                return self._sees_error(f"{name} is not a valid command.")
            delivery = payloads.command(
                self._world,
                self.user,
                place,
                line=(name, self._escaped(name, text.strip())),
                base_url=self._ws.base_url,
            )
        return self._command_result(name, place, self._ws.deliver(delivery))

    def says(self, text: str, *, channel: str | None = None, thread: Message | None = None) -> Message:
        """Post an ordinary message."""
        with self._world.lock:
            place = self._place(channel)
            if place.is_archived:
                raise Refused(f"#{place.name} is archived")
            posted = self._world.post(
                place, user=self.id, text=text, thread_ts=(thread.thread_ts or thread.ts) if thread else None
            )
            return copy.deepcopy(posted)

    def _place(self, channel: str | None) -> Channel:
        if channel is None:
            return self._world.direct_channel(self.id)
        place = self._world.channel_named(channel)
        if self.id not in place.members:
            raise Refused(f"{self.user.name} is not in #{place.name}")
        return place

    def _escaped(self, name: str, text: str) -> str:
        """Turn `@alice` and `#ops` into ids, for commands declared with `should_escape`."""
        return " ".join(map(self._mention, text.split(" "))) if self._world.app.commands[name] else text

    def _mention(self, word: str) -> str:
        if word.startswith("@"):
            users = [user for user in self._world.users.values() if user.name == word[1:]]
            return f"<@{users[0].id}|{users[0].name}>" if users else word
        if word.startswith("#"):
            found = [channel for channel in self._world.channels.values() if channel.name == word[1:]]
            return f"<#{found[0].id}|{'' if found[0].is_private else found[0].name}>" if found else word
        return word

    def _command_result(self, name: str, place: Channel, answer: Answer) -> CommandResult:
        if not answer.acked:
            code = "operation_timeout" if answer.timed_out else "dispatch_failed"
            return self._sees_error(f'{name} failed with the error "{code}"', answer)
        try:
            shown = show_reply(self._world, user_id=self.id, channel_id=place.id, reply=answer.payload)
        except ApiError:
            return self._sees_error(f'{name} failed with the error "invalid_command_response"', answer)
        return CommandResult(acked=True, latency_ms=answer.latency_ms, message=copy.deepcopy(shown))

    def _sees_error(self, text: str, answer: Answer | None = None) -> CommandResult:
        self._ws.journal.add("notice", self.user.name, ok=False, note=text)
        seen = answer or Answer(acked=False)
        return CommandResult(acked=seen.acked, timed_out=seen.timed_out, latency_ms=seen.latency_ms, error=text)

    # clicks

    def clicks(self, where: Message | View, element: str, *, value: Any = None, confirms: bool = True) -> ActionResult:
        """Use a button or a select, named by its action_id or by its label.

        `where` may be an old picture of a message: a person clicks on what their screen still shows.
        """
        with self._world.lock:
            placed = self._find(where, element)
            if "confirm" in placed.element and not confirms:
                return ActionResult(acked=False, cancelled=True)
            action = payloads.action_of(self._world, placed, value)
            if isinstance(where, View):
                current = self._current(where)
                keep_choice(current.typed, placed, value)
                delivery = payloads.view_click(self._world, self.user, current, action)
            else:
                seen = self._seen(where)
                keep_choice(seen.typed.setdefault(self.id, {}), placed, value)
                delivery = payloads.message_click(self._world, self.user, seen, action, base_url=self._ws.base_url)
        return self._action_result(element, self._ws.deliver(delivery))

    def _find(self, where: Message | View, element: str) -> Placed:
        placed = find_element(where.blocks, element)
        if placed is None:
            offered = ", ".join(repr(label) for label in where.buttons()) or "none"
            raise Refused(f"there is no {element!r} to click; the buttons are {offered}")
        if placed.element["type"] not in USABLE:
            raise Refused(f"{element!r} is a {placed.element['type']}, which nobody can use here yet")
        return placed

    def _seen(self, message: Message) -> Message:
        """The message as it is now, if this person may see it."""
        if message.ephemeral_to is not None:
            if message.ephemeral_to != self.id:
                raise Refused(f"only {message.ephemeral_to} sees that ephemeral message")
            return message
        channel = self._world.channels[message.channel_id]
        if self.id not in channel.members:
            raise Refused(f"{self.user.name} is not in #{channel.name}")
        current = channel.find(message.ts)
        if current is None:
            raise Refused("the message has been deleted")
        return current

    def _current(self, view: View) -> View:
        if view.user_id != self.id:
            raise Refused(f"that view is shown to {view.user_id}, not to {self.id}")
        current = self._world.views.get(view.id)
        if current is None:
            raise Refused(f"the view {view.title!r} is closed")
        return current

    def _action_result(self, name: str, answer: Answer) -> ActionResult:
        error = "" if answer.acked else f"{name}: this app did not respond ({answer.reason})"
        if error:
            self._ws.journal.add("notice", self.user.name, ok=False, note=f"warning triangle: {error}")
        return ActionResult(acked=answer.acked, timed_out=answer.timed_out, latency_ms=answer.latency_ms, error=error)

    def shortcut(self, callback_id: str) -> ActionResult:
        """Start a global shortcut."""
        self._known_shortcut(callback_id)
        with self._world.lock:
            delivery = payloads.global_shortcut(self._world, self.user, callback_id)
        return self._action_result(callback_id, self._ws.deliver(delivery))

    def message_shortcut(self, callback_id: str, message: Message) -> ActionResult:
        """Start a shortcut from a message's menu."""
        self._known_shortcut(callback_id)
        with self._world.lock:
            seen = self._seen(message)
            delivery = payloads.message_shortcut(
                self._world, self.user, seen, callback_id=callback_id, base_url=self._ws.base_url
            )
        return self._action_result(callback_id, self._ws.deliver(delivery))

    def _known_shortcut(self, callback_id: str) -> None:
        known = self._world.app.shortcuts
        if known is not None and callback_id not in known:
            raise Refused(f"the app has no shortcut {callback_id!r}; it has {', '.join(sorted(known))}")

    # modals

    def modal(self) -> View | None:
        """The view on top of this person's stack."""
        with self._world.lock:
            stack = self._world.stack(self.id)
            return copy.deepcopy(stack[-1]) if stack else None

    def fills(self, view: View, values: dict[str, Any]) -> View:
        """Type into a modal or Home tab without submitting it; answer with the view as it looks then."""
        with self._world.lock:
            current = self._current(view)
            fill_in(current, values)
            self._world.touch()
            return copy.deepcopy(current)

    def submits(self, view: View, values: dict[str, Any] | None = None) -> SubmitResult:
        """Fill in and submit the view on top; Slack itself refuses missing and over-long input."""
        self.fills(view, values or {})
        with self._world.lock:
            current = self._current(view)
            if self._world.stack(self.id)[-1:] != [current]:
                raise Refused(f"the view {view.title!r} is not on top")
            errors = refused_by_slack(current)
            if errors:
                return SubmitResult(acked=False, sent=False, errors=errors, error=REQUIRED)
            delivery = payloads.submission(self._world, self.user, current)
        result = settle(self._world, current, self._ws.deliver(delivery))
        if result.error:
            self._ws.journal.add("notice", self.user.name, ok=False, note=result.error)
        return copy.deepcopy(result)

    def closes(self, *, clear: bool = False) -> ActionResult | None:
        """Close the modal on top, or all of them; the bot hears of it only with `notify_on_close`."""
        with self._world.lock:
            stack = self._world.stack(self.id)
            if not stack:
                raise Refused(f"{self.user.name} has no open modal")
            top = stack[-1]
            replace_stack(self._world, self.id, [] if clear else stack[:-1])
            if not top.content.get("notify_on_close"):
                return None
            delivery = payloads.closing(self._world, self.user, top, cleared=clear)
        return self._action_result("close", self._ws.deliver(delivery))

    # App Home, ephemeral messages, workflow steps

    def opens_home(self, *, tab: str = "home") -> Outcome:
        """Open the app's Home tab; the bot gets an event with the view it last published."""
        with self._world.lock:
            channel = self._world.direct_channel(self.id)
            ts = self._world.clock.next_ts()
            event: Json = {"type": "app_home_opened", "user": self.id, "channel": channel.id, "tab": tab}
            event["event_ts"] = ts
            published = self._world.homes.get(self.id)
            if published:
                event["view"] = published.as_json()
        return self._event(event)

    def home(self) -> View | None:
        """The Home tab as the bot last published it."""
        with self._world.lock:
            return copy.deepcopy(self._world.homes.get(self.id))

    def ephemerals(self, channel: str | None = None) -> list[Message]:
        """The messages that only this person sees, oldest first."""
        with self._world.lock:
            wanted = channel and self._world.channel_named(channel).id
            mine = self._world.ephemerals.get(self.id, [])
            return copy.deepcopy([each for each in mine if wanted in {None, each.channel_id}])

    def reloads(self) -> None:
        """Restart the client: ephemeral messages are gone."""
        with self._world.lock:
            if not self._world.ephemeral_survive_reload:
                self._world.ephemerals.pop(self.id, None)
            self._world.touch()

    def runs_step(self, callback_id: str, inputs: Json) -> Execution:
        """Run a workflow that contains the app's step; the record shows how it ends."""
        with self._world.lock:
            execution = Execution(id=self._world.new_id("Fx"), callback_id=callback_id)
            self._world.executions[execution.id] = execution
            event: Json = {
                "type": "function_executed",
                "function": {"id": "Fn0", "callback_id": callback_id, "type": "app"},
                "inputs": inputs,
                "function_execution_id": execution.id,
                "workflow_execution_id": self._world.new_id("Wx"),
                "event_ts": self._world.clock.next_ts(),
                "bot_access_token": self._world.app.bot_token,
            }
        self._event(event)
        return execution

    def _event(self, event: Json) -> Outcome:
        if event["type"] not in self._world.app.events:
            return Outcome(acked=False, error=f"the app is not subscribed to {event['type']}")
        answer = self._ws.deliver_event(event)
        return Outcome(acked=answer.acked, timed_out=answer.timed_out, latency_ms=answer.latency_ms)

    def deactivate(self) -> None:
        """Let an admin deactivate this person's account."""
        with self._world.lock:
            self.user.deleted = True
            self._world.touch()

    @property
    def notices(self) -> list[str]:
        """Errors this person was shown, oldest first."""
        return [entry.note for entry in self._ws.journal.of("notice", self.user.name)]
