"""The page on reliability lists every deliberate mistake, with the test that notices it."""

from __future__ import annotations

from pathlib import Path

from tests.sabotage.variants import every_variant, table

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- sabotage: begin -->\n", "<!-- sabotage: end -->\n"


def test_table_of_deliberate_mistakes_is_that_of_the_patches() -> None:
    listed = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]

    assert listed.strip() == table(every_variant()), (
        f"write it again: `python -m tests.sabotage` between {BEGIN.strip()} and {END.strip()}"
    )
