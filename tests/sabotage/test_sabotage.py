"""A suite that cannot fail proves nothing: each deliberate mistake in the product must turn a named test red.

The mistakes are the patches beside this file. Each is made in a copy of the tree, where its tests must fail by an
assertion of their own, and must pass without it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sabotage.copies import ROOT, Copy, Phase, Report, survivals
from tests.sabotage.variants import Hunk, Unfit, Variant, every_variant, read, table

VARIANTS = every_variant()
FEWEST = 20
GREEN = "tests/engine/test_ballots.py::test_only_a_person_decides"
HARMLESS = Variant(
    name="harmless",
    broken="A comment is another one.",
    promise="None.",
    red=(GREEN,),
    hunks=(Hunk(place="engine/policy.py", before="Pure rules over values.", after="Rules over values."),),
)
PATCH = """\
Broken:  Sums are differences,
         of all things.
Promise: Sums are right.
Red:     tests/test_sums.py::test_sum
         tests/test_sums.py::test_other[1-2]

--- a/engine/sums.py
+++ b/engine/sums.py
@@ -1,3 +1,3 @@
 def total(a, b):
-    return a + b
+    return a - b

"""


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    made = Copy(tmp_path_factory.mktemp("sabotage"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def healthy(copy: Copy, request: pytest.FixtureRequest) -> Report:
    """The tests of all variants that are asked for, run together on the product as it is."""
    asked = [item.callspec.params.get("variant") for item in request.session.items if hasattr(item, "callspec")]
    tests = {test for variant in asked if isinstance(variant, Variant) for test in variant.red}
    return copy.run(sorted(tests))


@pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])
def test_sabotage_turns_its_tests_red(variant: Variant, copy: Copy, healthy: Report) -> None:
    with copy.sabotaged(variant):
        report = copy.run(variant.red)

    assert [test for test in variant.red if not healthy.passed(test)] == [], healthy.said
    assert copy.strangers(healthy) == []
    assert survivals(variant, report, copy) == [], report.said


def test_there_are_enough_sabotages_and_no_two_are_the_same() -> None:
    mistakes = {variant.hunks for variant in VARIANTS}

    assert len(mistakes) == len(VARIANTS) >= FEWEST


@pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])
def test_sabotage_breaks_the_product_and_not_its_tests(variant: Variant) -> None:
    folders = {place.partition("/")[0] for place in variant.places}

    assert folders <= {"bot", "connectors", "engine", "storage"}


def test_mistake_that_changes_nothing_is_found_out(copy: Copy) -> None:
    with copy.sabotaged(HARMLESS):
        report = copy.run(HARMLESS.red)

    assert survivals(HARMLESS, report, copy) == [
        "pytest ended with 0 instead of 1",
        f"stayed green although a comment is another one. {GREEN}",
    ]


def test_copy_is_right_again_after_a_sabotage_and_the_tree_was_never_wrong(copy: Copy) -> None:
    right = (ROOT / "engine/policy.py").read_text(encoding="utf-8")

    with copy.sabotaged(HARMLESS):
        broken = (copy.root / "engine/policy.py").read_text(encoding="utf-8")

    assert broken != right
    assert (copy.root / "engine/policy.py").read_text(encoding="utf-8") == right
    assert (ROOT / "engine/policy.py").read_text(encoding="utf-8") == right


@pytest.mark.parametrize(
    ("phases", "complaint"),
    [
        ([], "did not run"),
        ([("setup", "failed", "AssertionError")], "setup failed"),
        ([("setup", "passed", ""), ("call", "failed", "ImportError")], "call failed"),
        ([("setup", "passed", ""), ("call", "skipped", "Skipped")], "call skipped"),
        (
            [("setup", "passed", ""), ("call", "passed", ""), ("teardown", "failed", "AssertionError")],
            "teardown failed",
        ),
    ],
)
def test_only_a_failed_assertion_of_the_test_itself_counts(
    copy: Copy, phases: list[tuple[str, str, str]], complaint: str
) -> None:
    told = tuple(Phase(test=GREEN, phase=phase, outcome=how, error=error, words="") for phase, how, error in phases)
    report = Report(code=1, said="", phases=told, files=(str(copy.root / "engine/policy.py"),))

    [problem] = survivals(HARMLESS, report, copy)

    assert complaint in problem


def test_code_from_elsewhere_proves_nothing(copy: Copy) -> None:
    failed = Phase(test=GREEN, phase="call", outcome="failed", error="AssertionError", words="")
    report = Report(code=1, said="", phases=(failed,), files=(str(ROOT / "engine/policy.py"),))

    [problem] = survivals(HARMLESS, report, copy)

    assert "loaded from elsewhere" in problem


def test_patch_is_read_with_its_header() -> None:
    variant = read(PATCH, "sums")

    assert variant == Variant(
        name="sums",
        broken="Sums are differences, of all things.",
        promise="Sums are right.",
        red=("tests/test_sums.py::test_sum", "tests/test_sums.py::test_other[1-2]"),
        hunks=(
            Hunk(
                place="engine/sums.py",
                before="def total(a, b):\n    return a + b\n\n",
                after="def total(a, b):\n    return a - b\n\n",
            ),
        ),
    )


@pytest.mark.parametrize(
    "text", [PATCH.replace("Promise", "Promises"), PATCH.partition("---")[0], PATCH.partition("@@")[0], ""]
)
def test_patch_without_header_or_hunk_is_refused(text: str) -> None:
    with pytest.raises(Unfit, match=r"sums\.patch"):
        read(text, "sums")


@pytest.mark.parametrize(
    "text", ["", "def total(a, b):\n    return b + a\n\n", "def total(a, b):\n    return a + b\n\n" * 2]
)
def test_patch_that_does_not_fit_in_exactly_one_place_says_how_to_renew_it(text: str) -> None:
    [hunk] = read(PATCH, "sums").hunks

    with pytest.raises(Unfit, match="put `git diff` below"):
        hunk.applied(text)


def test_table_has_a_row_for_each_sabotage() -> None:
    assert table((read(PATCH, "sums"),)).splitlines()[2] == (
        "| `sums` | Sums are differences, of all things. | Sums are right. "
        "| `tests/test_sums.py::test_sum`<br>`tests/test_sums.py::test_other[1-2]` |"
    )
