"""Measures Python source against the house rules: docstrings, sizes, broad excepts and test doubles.

It reads text and never imports or runs what it judges, so that a bad sample can be given to it as a string.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE_LINES = 350
TEST_FILE_LINES = 700  #: a specification may be read in one piece
FUNCTION_LINES = 40
LISTENER_LINES = 15
DOUBLES_PER_100_TESTS = 3

PRODUCT = ("bot", "engine", "connectors", "storage", "playground")
LISTENERS = "bot/listeners/"
MIGRATIONS = "storage/migrations/versions/"  # a migration is as long as what it moves
MOCK_LIBRARIES = {"mock", "unittest.mock", "pytest_mock"}
REPLACING = {"setattr", "delattr", "setitem", "delitem"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Module:
    """One file, parsed once; ``place`` is its path from the root of the tree, with slashes."""

    place: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.place)


def modules(root: Path, *folders: str) -> list[Module]:
    """Read every Python file below the folders, in a stable order."""
    paths = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    return [Module(place=path.relative_to(root).as_posix(), text=path.read_text(encoding="utf-8")) for path in paths]


def faults(module: Module) -> list[str]:
    """Give one sentence per broken rule; an empty list means the module is in order."""
    return [*_missing_docstring(module), *_long_file(module), *_long_functions(module)]


def broad_excepts(module: Module) -> list[int]:
    """Give the lines that catch everything: ``except:``, ``except Exception``, also inside a tuple."""
    handlers = (node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler))
    return [handler.lineno for handler in handlers if _catches_everything(handler.type)]


def count_tests(module: Module) -> int:
    return sum(function.name.startswith("test_") for function in _functions(module.tree))


def doubles_in(module: Module) -> list[int]:
    """Give the lines where a test puts something false in place of something real."""
    tree = module.tree
    borrowed = set(_mock_names(tree))
    expressions = (node for node in ast.walk(tree) if isinstance(node, ast.expr))
    return sorted(
        node.lineno
        for node in expressions
        if (isinstance(node, ast.Name) and node.id in borrowed) or _replaces_by_fixture(node)
    )


def _missing_docstring(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield f"{module.place}: no module docstring; say what the module is for and what it must never do"


def _long_file(module: Module) -> Iterator[str]:
    lines = len(module.text.splitlines())
    most = TEST_FILE_LINES if module.place.startswith("tests/") else FILE_LINES
    if lines > most and not module.place.startswith(MIGRATIONS):
        yield f"{module.place}: {lines} lines, {most} at most; move one subject out"


def _long_functions(module: Module) -> Iterator[str]:
    if module.place.startswith(MIGRATIONS):
        return
    limit = LISTENER_LINES if module.place.startswith(LISTENERS) else FUNCTION_LINES
    for function in _functions(module.tree):
        lines = _body_lines(function)
        if lines > limit:
            yield f"{module.place}:{function.lineno}: {function.name} has {lines} lines, {limit} at most"


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def _catches_everything(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(_catches_everything(part) for part in caught.elts)
    return isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}


def _mock_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module in MOCK_LIBRARIES or node.module == "unittest"):
            yield from (
                alias.asname or alias.name
                for alias in node.names
                if node.module in MOCK_LIBRARIES or alias.name == "mock"
            )
        if isinstance(node, ast.Import):
            mocks = (alias for alias in node.names if alias.name in MOCK_LIBRARIES)
            yield from (alias.asname or alias.name.partition(".")[0] for alias in mocks)
        if isinstance(node, ast.arg) and node.arg == "mocker":
            yield node.arg


def _replaces_by_fixture(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in REPLACING
        and isinstance(node.value, ast.Name)
        and node.value.id.startswith("monkeypatch")
    )
