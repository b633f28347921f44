"""Checks the way to Azure from credential to machine. Only reads, unless a harmless echo is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from connectors.azure_client import AzureClient
from connectors.azure_preflight import RUNNER_ACTIONS, locks, preflight, rights
from connectors.azure_settings import VmId
from connectors.azure_side import is_expired, is_ours
from engine.errors import ConnectorError
from engine.model import Shell, Target
from engine.ports import Check, Clock, Level

_SKEW_WARN, _SKEW_BLOCK = 30.0, 240.0
ECHO = "echo runbook-bot\n"


def doctor(
    client: AzureClient, clock: Clock, target: Target | None, *, echo: Callable[[Target], bytes] | None = None
) -> tuple[Check, ...]:
    """Return every check; one that cannot be made says why. ``echo`` runs a harmless script on the machine."""
    checks = [_tried("credential", lambda: _credential(client))]
    if checks[0].level is Level.BLOCK:
        return tuple(checks)
    checks += _subscriptions(client)
    checks.append(_tried("clock", lambda: _clock(client, clock)))
    checks.append(_tried("resource graph", lambda: _graph(client), worst=Level.WARN))
    if target is not None:
        checks += _machine(client, clock, target)
        if echo is not None:
            checks.append(_tried("live", lambda: _answered(echo(target))))
    return tuple(checks)


def _credential(client: AzureClient) -> Check:
    who = client.principal()
    evidence = f"{client.settings.credential}: client {who['appid']}, object {who['oid']}, tenant {who['tid']}"
    return Check(name="credential", level=Level.OK, evidence=evidence)


def _subscriptions(client: AzureClient) -> Iterator[Check]:
    for subscription in client.settings.subscription_ids:
        looks: tuple[tuple[str, Callable[[AzureClient, str], Check]], ...] = (
            ("subscription", _readable),
            ("rights", _rights),
            ("locks", _locks),
            ("provider", _provider),
        )
        for name, look in looks:
            yield _tried(f"{name} {subscription}", partial(look, client, subscription), worst=Level.WARN)


def _rights(client: AzureClient, subscription: str) -> Check:
    scope = f"/subscriptions/{subscription}"
    return rights(client.permissions(scope), RUNNER_ACTIONS, scope)


def _locks(client: AzureClient, subscription: str) -> Check:
    return locks(client.locks(f"/subscriptions/{subscription}"))


def _readable(client: AzureClient, subscription: str) -> Check:
    count = len(client.vms(subscription))
    return Check(name="subscription", level=Level.OK, evidence=f"readable, {count} machines")


def _provider(client: AzureClient, subscription: str) -> Check:
    state = client.provider_state(subscription)
    if state.lower() == "registered":
        return Check(name="provider", level=Level.OK, evidence="Microsoft.Compute is registered")
    remedy = "Have an owner run: az provider register --namespace Microsoft.Compute"
    return Check(
        name="provider", level=Level.BLOCK, evidence=f"Microsoft.Compute is {state or 'unknown'}", remedy=remedy
    )


def _clock(client: AzureClient, clock: Clock) -> Check:
    theirs = client.azure_time()
    if theirs is None:
        return Check(name="clock", level=Level.WARN, evidence="Azure named no time", remedy="Look again.")
    skew = abs((clock.now() - theirs).total_seconds())
    level = Level.BLOCK if skew > _SKEW_BLOCK else Level.WARN if skew > _SKEW_WARN else Level.OK
    remedy = "" if level is Level.OK else "Synchronise the clock of the bot's host; start deadlines depend on it."
    return Check(name="clock", level=level, evidence=f"{skew:.0f} s from Azure's", remedy=remedy)


def _graph(client: AzureClient) -> Check:
    client.graph("Resources | where type =~ 'microsoft.compute/virtualmachines' | project id | limit 1")
    return Check(name="resource graph", level=Level.OK, evidence="answers")


def _machine(client: AzureClient, clock: Clock, target: Target) -> list[Check]:
    shell = Shell.BASH if target.os == "linux" else Shell.POWERSHELL
    try:
        checks = list(preflight(client, clock, target, shell))
    except ConnectorError as error:
        return [_failed("machine", error, Level.BLOCK)]
    return [*checks, _tried("leftovers", lambda: _leftovers(client, clock, target), worst=Level.WARN)]


def _leftovers(client: AzureClient, clock: Clock, target: Target) -> Check:
    ours = [one for one in client.run_commands(VmId.parse(target.id), expand=False) if is_ours(client, one)]
    old = [one for one in ours if is_expired(one, clock.now().timestamp())]
    evidence = f"{len(ours)} run commands of the bot, {len(old)} of them left behind"
    if old:
        return Check(
            name="leftovers", level=Level.WARN, evidence=evidence, remedy="The sweep removes them; look again later."
        )
    return Check(name="leftovers", level=Level.OK, evidence=evidence)


def _answered(out: bytes) -> Check:
    if b"runbook-bot" in out:
        return Check(name="live", level=Level.OK, evidence="the machine answered an echo")
    remedy = "Look at the run command handler's log on the machine."
    return Check(name="live", level=Level.BLOCK, evidence="the echo came back empty", remedy=remedy)


def _tried(name: str, look: Callable[[], Check], *, worst: Level = Level.BLOCK) -> Check:
    try:
        return look()
    except ConnectorError as error:
        return _failed(name, error, worst)


def _failed(name: str, error: ConnectorError, level: Level) -> Check:
    return Check(name=name, level=level, evidence=error.message, remedy=error.hint)
