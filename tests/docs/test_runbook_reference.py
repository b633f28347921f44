"""The runbook reference: every field of the model with its default and meaning, and examples that load."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from engine.parameters import Parameter
from engine.runbook import After, Approval, ExpectRule, Runbook, Step, json_schema
from storage.strict_yaml import parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook-reference.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "Runbook": Runbook,
    "Parameter": Parameter,
    "Approval": Approval,
    "Step": Step,
    "Expect": ExpectRule,
    "Capture": After,
}


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str) -> dict[str, list[str]]:
    found = [line.strip("|").split(" | ") for line in section(title).splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in found}


def default_as_written(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    if default is None:
        return "none"
    if isinstance(default, BaseModel):
        return "its own defaults"
    if default in ("", (), {}):
        return "empty"
    shown = default[0] if isinstance(default, tuple) else default
    return f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_is_described_with_its_default_and_meaning(title: str) -> None:
    fields = SECTIONS[title].model_fields

    described = {name: (cells[1], cells[2]) for name, cells in rows(title).items()}

    assert described == {name: (default_as_written(field), field.description) for name, field in fields.items()}


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_has_a_type_and_an_example(title: str) -> None:
    assert [name for name, cells in rows(title).items() if not (cells[0] and cells[3])] == []


@pytest.mark.parametrize("title", ["Approval", "Expect", "Capture", "Parameter", "Step", "Runbook"])
def test_the_words_in_the_type_column_are_those_of_the_schema(title: str) -> None:
    schema = SECTIONS[title].model_json_schema()

    for name, cells in rows(title).items():
        words = _words(schema, schema["properties"][name])
        missing = [word for word in words if f"`{word}`" not in cells[0]]
        assert missing == [], (title, name)


def _words(root: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        return _words(root, root["$defs"][schema["$ref"].rpartition("/")[2]])
    inner = [word for choice in schema.get("anyOf", ()) for word in _words(root, choice)]
    constant = [schema["const"]] if "const" in schema else []
    return [*inner, *constant, *(schema.get("enum", []))]


def blocks(text: str) -> list[Any]:
    return [parse(found, file="example").value for found in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def test_the_whole_example_is_a_valid_runbook() -> None:
    (example,) = blocks(TEXT.split("\n## ", 1)[0])

    assert Runbook.model_validate(example).name == "disk-report"


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Parameter", dict[str, Parameter]),
        ("Step", Step),
        ("Expect", ExpectRule),
        ("Capture", Step.model_fields["capture"].rebuild_annotation()),
    ],
)
def test_the_example_of_a_section_is_valid(title: str, kind: Any) -> None:
    (example,) = blocks(section(title))

    TypeAdapter(kind).validate_python(example)


def test_the_published_schema_is_that_of_the_model() -> None:
    published = json.loads((ROOT / "docs" / "runbook.schema.json").read_text(encoding="utf-8"))

    assert published == json_schema(), "write it anew: runbook schema > docs/runbook.schema.json"
