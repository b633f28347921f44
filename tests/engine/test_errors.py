"""The tree of errors: each has its own code and a sentence for people, and families stay together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.errors import (
    Bug,
    Conflict,
    ConnectorError,
    DeliveryError,
    Expired,
    Indeterminate,
    InvalidInput,
    Misconfigured,
    NotAllowed,
    NotFound,
    Permanent,
    Precondition,
    Refused,
    RunbookError,
    Stale,
    StorageUnavailable,
    TargetBusy,
    Transient,
    Unverifiable,
)


def tree(root: type[RunbookError] = RunbookError) -> Iterator[type[RunbookError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == RunbookError.__module__:
            yield from tree(child)


EVERY_ERROR = list(tree())


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in EVERY_ERROR]

    assert len(set(codes)) == len(codes) > 15
    assert all(code.isidentifier() and code.islower() for code in codes)


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_error_without_a_message_says_its_own_sentence(error: type[RunbookError]) -> None:
    sentence = str(error())

    assert sentence == (error.__doc__ or "").strip()
    assert sentence.endswith(".")


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_message_comes_before_the_hint(error: type[RunbookError]) -> None:
    raised = error("It went wrong.", hint="Do this.")

    assert str(raised) == "It went wrong. Do this."
    assert (raised.message, raised.hint, raised.args) == ("It went wrong.", "Do this.", ("It went wrong.",))


@pytest.mark.parametrize(
    "error",
    [InvalidInput, NotFound, NotAllowed, Unverifiable, Conflict, TargetBusy, Stale, Expired, Precondition],
)
def test_what_a_person_can_do_something_about_is_a_refusal(error: type[RunbookError]) -> None:
    assert issubclass(error, Refused)
    assert not issubclass(error, ConnectorError)


@pytest.mark.parametrize("error", [Transient, Permanent, Indeterminate])
def test_what_the_outside_world_did_is_never_shown_as_a_refusal(error: type[RunbookError]) -> None:
    assert issubclass(error, ConnectorError)
    assert not issubclass(error, Refused)


@pytest.mark.parametrize("error", [DeliveryError, StorageUnavailable, Misconfigured, Bug])
def test_what_only_operators_can_mend_is_neither(error: type[RunbookError]) -> None:
    assert error.__bases__ == (RunbookError,)


def test_not_knowing_whether_it_happened_is_no_kind_of_failure_that_may_be_repeated() -> None:
    assert not issubclass(Indeterminate, Transient | Permanent)


def test_doubt_about_a_person_counts_as_not_allowed() -> None:
    assert issubclass(Unverifiable, NotAllowed)


def test_connector_errors_keep_what_the_other_side_said() -> None:
    throttled = Transient("Too many requests.", hint="Wait.", request_id="r-1", retry_after=12.5)

    assert (throttled.request_id, throttled.retry_after) == ("r-1", 12.5)
    assert Transient().retry_after is None
    assert Permanent(request_id="r-2").request_id == "r-2"


def test_kept_refusal_comes_back_as_the_kind_that_owns_its_code_and_never_as_an_heir_of_that():
    class NeedsMore(InvalidInput):
        """An heir under the same code that is made from something else."""

        def __init__(self, problems: tuple[str, ...]) -> None:
            super().__init__("\n".join(problems))

    kept = NeedsMore(("A rejection needs a reason.",)).to_text()

    again = Refused.from_text(kept)

    assert type(again) is InvalidInput
    assert again.message == "A rejection needs a reason."
