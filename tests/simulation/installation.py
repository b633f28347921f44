"""What the simulated installation has: people, machines, a policy and runbooks.

The tables of who may approve what are written down a second time here, for the judges, who must not ask the product.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from engine.errors import NotFound
from engine.model import Person, Target
from engine.policy import Policy
from engine.runbook import Document
from storage.catalog import FileCatalog
from tests.builders import ALICE, BOB, CAROL, DAVE
from tests.policies import a_policy

CHANNEL = "C0OPS"
TEAM = "T0HOME"
CANARY = "hunter2-canary-7f3a"
GINA = Person(team=TEAM, user="U0GINA")  #: a guest
MALLORY = Person(team="T0OTHER", user="U0BOB")  #: somebody of another workspace with a familiar id
MEMBERS = (ALICE, BOB, CAROL, DAVE)
STRANGERS = (GINA, MALLORY)


def _machine(name: str) -> Target:
    return Target(
        connector="azure",
        id=f"/subscriptions/0000/resourcegroups/rg-prod/providers/microsoft.compute/virtualmachines/{name}",
        name=name,
        group="rg-prod",
        fingerprint=f"vmid-{name}-1",
        location="westeurope",
    )


MACHINES = (_machine("web-1"), _machine("web-2"))

_HEAD = """\
name: {name}
title: A runbook of the simulation
owner: platform-team
environment: prod
risk: {risk}
os: linux
targets: any
{approval}"""
_ASKS = "  - name: Change {number}\n    run: echo change {number}\n    requires_approval: true\n{more}"
_FREE = "  - name: Look {number}\n    risk: none\n    run: echo look {number}\n    requires_approval: false\n{more}"
_BY_HAND = "  - name: Call them\n    type: manual\n    run: Call the customer.\n"


def _runbook(name: str, *steps: str, approval: str = "", risk: str = "low", checks: str = "", post: str = "") -> str:
    return _HEAD.format(name=name, approval=approval, risk=risk) + checks + "steps:\n" + "".join(steps) + post


def _asks(number: int = 1, more: str = "") -> str:
    return _ASKS.format(number=number, more=more)


def _free(number: int, more: str = "") -> str:
    return _FREE.format(number=number, more=more)


_LOOK = "  - name: Is it well {number}?\n    risk: none\n    run: echo well\n"
TEXTS: Mapping[str, str] = {
    "one-step": _runbook("one-step", _asks()),
    "two-steps": _runbook("two-steps", _asks(), _free(2)),
    "short-lived": _runbook("short-lived", _asks(), approval="approval:\n  expires: 5\n"),
    "two-people": _runbook("two-people", _asks(), _asks(2), approval="approval:\n  quorum: 2\n"),
    "risky": _runbook("risky", _asks(), risk="high"),
    "tries-again": _runbook("tries-again", _asks(more="    retries: 1\n"), _free(2, "    retries: 2\n")),
    "undoes": _runbook("undoes", _asks(1, "    rollback: echo undo 1\n"), _free(2, "    on_failure: rollback\n")),
    "asks-on": _runbook("asks-on", _asks(1, "    rollback: echo undo 1\n    on_failure: ask\n"), _asks(2)),
    "goes-on": _runbook("goes-on", _asks(1, "    on_failure: continue\n"), _free(2)),
    "by-hand": _runbook("by-hand", _BY_HAND, _free(2)),
    "checked": _runbook(
        "checked",
        _asks(),
        checks="prechecks:\n" + _LOOK.format(number=1),
        post="postchecks:\n" + _LOOK.format(number=2),
    ),
}
#: who may approve and how many must, by runbook
APPROVERS = frozenset({BOB, CAROL, DAVE})
QUORUM: Mapping[str, int] = {"two-people": 2, "risky": 2}


@cache
def policy() -> Policy:
    rule = {"name": "risky", "approvers": ["operators", "leads"], "quorum": 2, "when": {"risk": ["high"]}}
    everyone = {"approvers": ["operators", "leads"]}
    return a_policy(unattended={"risks": ["none"]}, default=everyone, rules=[rule])


@cache
def documents(*, edited: bool = False) -> Mapping[str, Document]:
    """Read the runbooks with the product's own reader, once."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in TEXTS.items():
            changed = text.replace("run: echo", "run: echo edited") if edited else text
            (Path(folder) / f"{name}.yaml").write_text(changed, encoding="utf-8")
        catalog = FileCatalog(Path(folder))
        return MappingProxyType({name: catalog.get(name) for name in TEXTS})


class Shelf:
    """See ``engine.ports.Catalog``. Its files can be edited at any moment."""

    def __init__(self) -> None:
        self.edited = False

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(TEXTS))

    def get(self, name: str) -> Document:
        if name not in TEXTS:
            raise NotFound(f"There is no runbook {name!r}.")
        return documents(edited=self.edited)[name]

    def problems(self) -> Mapping[str, str]:
        return {}
