"""What several verbs of the command line need: the wired core, the person behind the token, parsed values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bot.bootstrap import Core, build_core
from bot.logs import configure
from bot.settings import load_settings
from engine.errors import InvalidInput, NotAllowed
from engine.model import Actor, Person, Place, Source
from engine.preparation import StartRequest

Values = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Parameters, and vm=NAME for the machine.")
]
RESERVED = ("vm", "ticket")


@contextmanager
def core() -> Iterator[Core]:
    """Wire everything but Slack's listeners, and close it afterwards."""
    settings = load_settings()
    configure(level="WARNING", secrets=settings.secrets())
    wired = build_core(settings)
    try:
        wired.database.check()
        yield wired
    finally:
        wired.close()


def caller(it: Core) -> Actor:
    """Return the person whose token RUNBOOK_TOKEN holds."""
    token = it.settings.token.get_secret_value()
    known = it.policy.bearer(token) if token else None
    if known is None:
        raise NotAllowed(
            "The command line does not know who you are.",
            hint="Put your token into RUNBOOK_TOKEN; its SHA-256 stands in the policy file under `tokens`.",
        )
    person, name = known
    return Actor(person=person, source=Source.CLI, name=name)


def parse_values(values: list[str] | None) -> dict[str, str]:
    """Split NAME=VALUE arguments; the shell has already taken quotes away."""
    found: dict[str, str] = {}
    for text in values or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidInput(f"{text!r} is not NAME=VALUE.", hint="Write vm=web-01 or service=nginx.")
        if name in found:
            raise InvalidInput(f"{name!r} is given twice.", hint="Give each parameter once.")
        found[name] = value
    return found


def start_request(
    it: Core, runbook: str, values: dict[str, str], *, person: Actor | None, channel: str = ""
) -> StartRequest:
    """Make a start request out of what was typed."""
    nobody = Actor(person=Person(team=it.policy.document.workspace.team, user="UNKNOWN"), source=Source.CLI)
    where = channel or it.settings.default_channel
    return StartRequest(
        key=f"cli:{it.ids.ulid()}",
        runbook=runbook,
        actor=person or nobody,
        values={name: value for name, value in values.items() if name not in RESERVED},
        vm=values.get("vm", ""),
        ticket=values.get("ticket", ""),
        place=Place(team=it.policy.document.workspace.team, channel=where) if where else None,
    )
