"""Every target holds for what was worth keeping and for many inputs that look almost right.

Always the same examples, so that a change is judged by itself; ``RUNBOOK_FUZZ=deep`` tries 50,000 new ones for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given

from bot.parsing import parse as parse_command
from bot.payloads import read
from bot.slack_http import Rejected, parse_once
from connectors.trailer import parse_trailer
from engine.errors import RunbookError
from storage.strict_yaml import parse as parse_yaml
from tests.fuzz.corpus import CORPUS, inputs
from tests.fuzz.door import FORM, door
from tests.fuzz.examples import EXAMPLES
from tests.fuzz.machines import ATTEMPT
from tests.fuzz.profile import PROFILE
from tests.fuzz.steps import growth, steps_of
from tests.fuzz.targets import TARGETS

SEEDS = [(name, file) for name in TARGETS for file, _ in inputs(name)]


@pytest.fixture(scope="module", autouse=True)
def _door_closed_at_the_end() -> Iterator[None]:
    yield
    door().close()
    door.cache_clear()


@pytest.mark.parametrize("name", TARGETS)
def test_promise_of_the_target_holds_for_inputs_that_look_almost_right(name: str) -> None:
    target = TARGETS[name]

    @PROFILE
    @given(EXAMPLES[name])
    def holds(data: bytes) -> None:
        target(data)

    holds()


@pytest.mark.parametrize(("name", "file"), SEEDS)
def test_input_of_the_corpus_is_replayed(name: str, file: str) -> None:
    TARGETS[name]((CORPUS / name / file).read_bytes())


def test_every_target_has_examples_and_a_small_corpus() -> None:
    assert set(EXAMPLES) == set(TARGETS)
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(len(data) <= TARGETS[name].longest for name in TARGETS for _, data in inputs(name))


# ---------------------------------------------------------------- cost

Work = Callable[[int], object]


def tried(work: Callable[[], object]) -> object:
    try:
        return work()
    except (RunbookError, Rejected) as refusal:
        return refusal


GROWING: dict[str, tuple[int, Work]] = {
    "words": (40, lambda n: tried(lambda: parse_command("execute r " + " ".join(f"k{i}=v" for i in range(n))))),
    "quotes": (1500, lambda n: tried(lambda: parse_command('execute r a="' + "x' " * n + '"'))),
    "reason": (1500, lambda n: tried(lambda: parse_command("cancel 1 " + "x " * n))),
    "keys": (300, lambda n: tried(lambda: parse_yaml("".join(f"k{i}: v\n" for i in range(n)), file="f"))),
    "items": (300, lambda n: tried(lambda: parse_yaml("a:\n" + "  - b\n" * n, file="f"))),
    "blocks": (300, lambda n: tried(lambda: parse_yaml("a:\n" + "  - |\n    b\n" * n, file="f"))),
    "brackets": (3000, lambda n: tried(lambda: parse_yaml("[" * n, file="f"))),
    "fields": (40, lambda n: tried(lambda: parse_once(b"&".join(b"a%d=1" % i for i in range(n)), FORM))),
    "reports": (
        60,
        lambda n: parse_trailer(
            b"".join(b"RUNBOOK-BOT/1 %s out {]}\n" % ATTEMPT.encode() for _ in range(n)), b"", ATTEMPT
        ),
    ),
    "inputs": (
        60,
        lambda n: tried(
            lambda: read({"type": "view_submission", "view": {"id": "V", "state": {"values": _blocks(n)}}})
        ),
    ),
}


def _blocks(count: int) -> dict[str, object]:
    return {f"b{number}": {"a": {"value": "x"}} for number in range(count)}


@pytest.mark.parametrize("name", GROWING)
def test_twice_the_input_costs_no_more_than_twice_the_steps(name: str) -> None:
    size, work = GROWING[name]

    assert growth(work, size) < 2.3


def test_step_counter_sees_a_quadratic_loop_and_a_linear_one() -> None:
    def loops(size: int) -> None:
        for _ in range(size):
            for _ in range(size):
                pass

    assert growth(loops, 50) > 3.5
    assert growth(lambda size: [abs(number) for number in range(size)], 500) < 2.1
    assert steps_of(lambda: None) <= 2
