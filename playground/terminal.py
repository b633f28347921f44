"""A prompt to try the product by hand: type commands as anybody, press buttons, look at machines.

It stands in for a Slack window. What it prints is what people would see; it must never reach into the bot.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console

from playground.slack.model import Message
from playground.slack.people import Person
from playground.slack.results import Refused
from playground.stage import Stage
from playground.transcript import Transcript

HELP = """\
/runbook ...         type a command in the channel (start with /runbook help)
as NAME              be alice, bob, carol, dave, gina (guest) or oscar (outsider)
in CHANNEL           go to ops, random, private, partners or nobot
buttons              list the buttons of the newest thread
press LABEL          press a button of the newest message that has it
reason TEXT          fill in and submit the open dialog
look                 print what is new
home                 print App Home
vms                  print the machines and what happened on them
stop-vm NAME         switch a machine off;  start-vm NAME switches it on
kill / restart       kill the bot with SIGKILL / start it again
log                  print the bot's last log lines
quit
"""


class Terminal:
    """Reads lines until `quit`."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._log = Transcript(stage.slack, console)
        self._name, self._channel = "alice", "ops"
        self._told: set[str] = set()
        self._verbs: Mapping[str, Callable[[str], None]] = {
            "help": lambda _: self._say(HELP),
            "as": self._be,
            "in": self._go,
            "buttons": lambda _: self._say("\n".join(self._buttons()) or "no buttons"),
            "press": self._press,
            "reason": self._reason,
            "look": lambda _: None,
            "home": lambda _: self._home(),
            "vms": lambda _: self._vms(),
            "stop-vm": lambda name: self._stage.cloud.vm(name).stop(),
            "start-vm": lambda name: self._stage.cloud.vm(name).start(),
            "kill": lambda _: self._stage.bot.kill(),
            "restart": lambda _: self._restart(),
            "log": lambda _: self._say("\n".join(self._stage.bot.log_lines()[-30:])),
        }

    @property
    def prompt(self) -> str:
        return f"{self._name} #{self._channel}> "

    def run(self, lines: Iterable[str]) -> None:
        """Carry out line after line."""
        self._say(HELP)
        for line in lines:
            text = line.strip()
            if text in {"quit", "exit"}:
                return
            if text:
                self._do(text)
            self.look()

    def look(self) -> None:
        """Print what is new in the channel, and what only this person sees."""
        for root in self._stage.slack.channel(self._channel).messages():
            self._log.catch_up(self._channel, root.ts)
        for message in self._me.ephemerals(self._channel):
            if message.ts not in self._told:
                self._told.add(message.ts)
                self._log.whisper(self._name, message.plain() or message.text)

    @property
    def _me(self) -> Person:
        return self._stage.slack.person(self._name)

    def _do(self, text: str) -> None:
        try:
            if text.startswith("/"):
                self._command(text)
                return
            verb, _, rest = text.partition(" ")
            act = self._verbs.get(verb)
            if act is None:
                self._say(f"{verb!r} is not known here; try help")
                return
            act(rest.strip())
        except (Refused, LookupError, StopIteration, ValueError) as error:
            self._say(f"not possible: {error}")

    def _command(self, text: str) -> None:
        answer = self._me.types(text, channel=self._channel)
        shown = answer.message.plain() if answer.message else answer.error
        if answer.message:
            self._told.add(answer.message.ts)
        self._log.whisper(self._name, shown or "(acknowledged)")

    def _be(self, name: str) -> None:
        self._stage.slack.person(name)
        self._name = name

    def _go(self, channel: str) -> None:
        name = channel.lstrip("#")
        self._stage.slack.channel(name)
        self._channel = name

    def _messages(self) -> list[Message]:
        shown = [*self._stage.slack.channel(self._channel).all(), *self._me.ephemerals(self._channel)]
        return sorted(shown, key=lambda message: message.ts, reverse=True)

    def _buttons(self) -> list[str]:
        return [label for message in self._messages() for label in message.buttons()]

    def _press(self, label: str) -> None:
        wanted = shlex.split(label)[0] if label[:1] in {'"', "'"} else label
        message = next(
            (m for m in self._messages() if any(b.lower().startswith(wanted.lower()) for b in m.buttons())), None
        )
        if message is None:
            self._say(f"no button {wanted!r}; there are: {', '.join(self._buttons()) or 'none'}")
            return
        exact = next(b for b in message.buttons() if b.lower().startswith(wanted.lower()))
        result = self._me.clicks(message, exact)
        dialog = self._me.modal()
        if dialog is not None:
            self._say(f"a dialog opened: {dialog.title}. Answer it with: reason TEXT")
        elif not result.acked:
            self._say(result.error)

    def _reason(self, text: str) -> None:
        dialog = self._me.modal()
        if dialog is None:
            self._say("no dialog is open")
            return
        block = next(block for block in dialog.blocks if block["type"] == "input")
        result = self._me.submits(dialog, {f"{block['block_id']}.{block['element']['action_id']}": text})
        if result.errors:
            self._say(str(result.errors))

    def _home(self) -> None:
        self._me.opens_home()
        view = self._stage.slack.wait_for(self._me.home)
        self._say(view.plain() if view else "nothing published yet")

    def _vms(self) -> None:
        for name in ("rg-prod/web-01", "rg-prod/web-02", "rg-prod/db-01", "rg-staging/batch-01"):
            vm = self._stage.cloud.vm(name)
            self._say(f"{name:22} {vm.power_state:12} {'; '.join(vm.effects()[-3:])}")

    def _restart(self) -> None:
        if not self._stage.bot.running:
            self._stage.start_bot()
        self._say("the bot runs")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)
