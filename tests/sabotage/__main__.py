"""Prints the table of all sabotages: ``python -m tests.sabotage``."""

from tests.sabotage.variants import every_variant, table

print(table(every_variant()))  # noqa: T201 - that is what it is for
