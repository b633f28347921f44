"""The dialog that starts a session: first which runbook, then its parameters, generated from the runbook.

A dialog opens as a skeleton inside Slack's three seconds and is filled afterwards; ids of blocks stay the same,
so that what a person has typed survives a redraw. It must never offer a value that the runbook would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.models.blocks import (
    ConversationFilter,
    ConversationSelectElement,
    InputBlock,
    Option,
    PlainTextInputElement,
    PlainTextObject,
    StaticSelectElement,
)
from slack_sdk.models.blocks.block_elements import InputInteractiveElement

from bot import ids
from bot.views import parts
from bot.views import text as words
from engine.model import Target
from engine.parameters import Parameter, ParameterType
from engine.runbook import Runbook

TITLE = "Run a runbook"
RUNBOOKS_MAX = words.OPTIONS_MAX

View = dict[str, Any]
_POWER = 40  #: characters of a machine's power state beside its name


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What the dialog can offer: runbooks as (name, title), the chosen one, machines with power state."""

    runbooks: Sequence[tuple[str, str]] = ()
    runbook: Runbook | None = None
    machines: Sequence[tuple[Target, str]] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    ask_channel: bool = False  #: True when it was opened where no channel is known
    metadata: str = ""


def loading(*, metadata: str = "") -> View:
    """Return the skeleton that opens at once."""
    return _modal([parts.paragraph("Loading…")], metadata=metadata)


def failed(why: str, *, metadata: str = "") -> View:
    """Return the dialog that says why there is nothing to fill in."""
    return _modal([parts.paragraph(words.visible(why) or "This cannot be shown.")], metadata=metadata)


def launch(offer: Offer) -> View:
    """Return the dialog: the runbook, and once it is chosen its machine, its parameters and a ticket."""
    if not offer.runbooks:
        return failed("There are no runbooks yet. `/runbook doctor` says why.", metadata=offer.metadata)
    blocks = [_runbook_picker(offer)]
    if offer.runbook is not None:
        blocks += _form(offer, offer.runbook)
    return _modal(blocks, metadata=offer.metadata, submit="Start" if offer.runbook else "")


def parameter_block(name: str) -> str:
    """Return the block id of a parameter's input."""
    return ids.BLOCK_VM if name == ids.BLOCK_VM else ids.BLOCK_PARAMETER + name


def typed_values(state: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Read ``view.state.values``: what was chosen or typed, by block id; empty inputs are left out."""
    found = {}
    for block_id, elements in state.items():
        for element in elements.values():
            option = element.get("selected_option") or {}
            value = element.get("value") or option.get("value") or element.get("selected_conversation") or ""
            if value:
                found[block_id] = str(value)
    return found


def parameter_values(typed: Mapping[str, str]) -> dict[str, str]:
    """Pick the runbook's parameters out of what was typed, by parameter name."""
    prefix = ids.BLOCK_PARAMETER
    return {block.removeprefix(prefix): value for block, value in typed.items() if block.startswith(prefix)}


def _form(offer: Offer, runbook: Runbook) -> list[parts.Block]:
    blocks = [_about(runbook)]
    machine = runbook.parameters.get(ids.BLOCK_VM, Parameter(type=ParameterType.VM, description=""))
    blocks.append(_machine_input(offer, runbook, ids.BLOCK_VM, machine))
    for name, rule in sorted(runbook.parameters.items()):
        if name != ids.BLOCK_VM:
            blocks.append(_parameter_input(offer, runbook, name, rule))
    blocks.append(_ticket(offer))
    return [*blocks, *([_channel()] if offer.ask_channel else [])]


def _about(runbook: Runbook) -> parts.Block:
    steps = words.plural(len(runbook.phased()), "step")
    told = runbook.description or runbook.title
    return parts.paragraph(
        parts.bold(words.one_line(runbook.title)),
        f"\n{words.shorten(words.visible(words.flowing(told)), 2000)}",
        f"\nRisk {runbook.risk.value}, environment {words.one_line(runbook.environment)}, {steps}.",
    )


def _runbook_picker(offer: Offer) -> parts.Block:
    ordered = sorted(offer.runbooks)[:RUNBOOKS_MAX]
    options = [_option(name, f"{name}: {words.one_line(title)}") for name, title in ordered]
    chosen = offer.runbook.name if offer.runbook else ""
    picker = StaticSelectElement(
        action_id=ids.ACTION_LAUNCH_RUNBOOK,
        placeholder=_plain("Choose a runbook"),
        options=options,
        initial_option=next((option for option in options if option.value == chosen), None),
    )
    more = len(offer.runbooks) - len(ordered)
    hint = f"{more} more: start them with {ids.COMMAND} execute NAME." if more > 0 else ""
    return _input("Runbook", ids.BLOCK_RUNBOOK, picker, hint=hint, dispatch=True)


def _parameter_input(offer: Offer, runbook: Runbook, name: str, rule: Parameter) -> parts.Block:
    if rule.type is ParameterType.VM:
        return _machine_input(offer, runbook, parameter_block(name), rule)
    element = _element(name, rule, offer.values.get(name, rule.default))
    return _input(name, parameter_block(name), element, hint=_hint(rule), optional=_is_optional(rule))


def _element(name: str, rule: Parameter, value: str | None) -> InputInteractiveElement:
    if rule.type is ParameterType.CHOICE:
        return _select([(choice, choice) for choice in rule.choices], value, name)
    if rule.type is ParameterType.BOOLEAN:
        return _select([("true", "true (yes)"), ("false", "false (no)")], value, name)
    return PlainTextInputElement(
        action_id=ids.INPUT, initial_value=value or None, max_length=min(rule.max_length, words.INPUT_MAX)
    )


def _select(options: Sequence[tuple[str, str]], value: str | None, name: str) -> InputInteractiveElement:
    """Offer a choice; values that Slack cannot hold are typed instead."""
    fits = all(0 < len(option) <= words.OPTION_VALUE_MAX for option, _ in options)
    if not fits or len(options) > words.OPTIONS_MAX:
        return PlainTextInputElement(action_id=ids.INPUT, initial_value=value or None, max_length=words.INPUT_MAX)
    offered = [_option(option, label) for option, label in options]
    return StaticSelectElement(
        action_id=ids.INPUT,
        placeholder=_plain(f"Choose {words.one_line(name, 60)}"),
        options=offered,
        initial_option=next((option for option in offered if option.value == value), None),
    )


def _machine_input(offer: Offer, runbook: Runbook, block_id: str, rule: Parameter) -> parts.Block:
    name = block_id.removeprefix(ids.BLOCK_PARAMETER)
    allowed = [
        (target, power) for target, power in offer.machines if target.os == runbook.os and runbook.allows(target)
    ]
    options = [(_selector(target), _machine(target, power)) for target, power in allowed]
    value = offer.values.get(name, rule.default)
    distinct = len({option for option, _ in options}) == len(options)
    few = 0 < len(options) <= words.OPTIONS_MAX and distinct
    if few:
        element: InputInteractiveElement = _select(options, value, "a VM")
    else:
        element = PlainTextInputElement(action_id=ids.INPUT, initial_value=value or None, max_length=1000)
    hint = rule.description or ("" if few else "Its name, resource group/name, or its full resource id.")
    return _input("VM" if block_id == ids.BLOCK_VM else name, block_id, element, hint=hint, optional=_is_optional(rule))


def _selector(target: Target) -> str:
    return f"{target.group}/{target.name}" if target.group else target.name


def _machine(target: Target, power: str) -> str:
    state = f" ({words.one_line(power, _POWER)})" if power else ""
    return f"{words.one_line(_selector(target))}{state}"


def _ticket(offer: Offer) -> parts.Block:
    element = PlainTextInputElement(
        action_id=ids.INPUT, initial_value=offer.values.get(ids.BLOCK_TICKET) or None, max_length=100
    )
    hint = "Finds the session again: /runbook history ticket=…"
    return _input("Ticket", ids.BLOCK_TICKET, element, hint=hint, optional=True)


def _channel() -> parts.Block:
    element = ConversationSelectElement(
        action_id=ids.INPUT,
        placeholder=_plain("Choose a channel"),
        default_to_current_conversation=True,
        filter=ConversationFilter(include=["public", "private"], exclude_external_shared_channels=True),
    )
    return _input("Channel", ids.BLOCK_CHANNEL, element, hint="The session's thread appears there.")


def _is_optional(rule: Parameter) -> bool:
    return not rule.required or rule.default is not None


def _hint(rule: Parameter) -> str:
    """Say what a value must be, from the rules that it will be checked against."""
    limits = [
        f"at least {rule.min}" if rule.min is not None else "",
        f"at most {rule.max}" if rule.max is not None else "",
        f"pattern {rule.pattern}" if rule.pattern else "",
        f"default {rule.default}" if rule.default else "",
    ]
    kind = "a whole number" if rule.type is ParameterType.INTEGER else ""
    told = ", ".join(part for part in (kind, *limits) if part)
    return " ".join(part for part in (rule.description, f"({told})" if told else "") if part)


def _option(value: str, label: str) -> Option:
    return Option(value=value, text=_plain(words.one_line(label, words.OPTION_TEXT_MAX)))


def _input(
    label: str,
    block_id: str,
    element: InputInteractiveElement,
    *,
    hint: str = "",
    optional: bool = False,
    dispatch: bool = False,
) -> parts.Block:
    block = InputBlock(
        block_id=block_id,
        label=_plain(words.one_line(label)),
        element=element,
        hint=_plain(words.one_line(hint, words.LABEL_MAX)) if hint else None,
        optional=optional,
        dispatch_action=dispatch or None,
    )
    return dict(block.to_dict())


def _plain(text: str) -> PlainTextObject:
    return PlainTextObject(text=text, emoji=False)


def _modal(blocks: list[parts.Block], *, metadata: str, submit: str = "") -> View:
    view: View = {
        "type": "modal",
        "callback_id": ids.VIEW_LAUNCH,
        "title": {"type": "plain_text", "text": TITLE, "emoji": False},
        "close": {"type": "plain_text", "text": "Close", "emoji": False},
        "private_metadata": metadata,
        "blocks": blocks,
    }
    if submit or any(block["type"] == "input" for block in blocks):
        view["submit"] = {"type": "plain_text", "text": submit or "Next", "emoji": False}
    return view
