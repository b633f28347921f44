"""Secrets are compared in constant time: how long a refusal takes tells nothing about how much was guessed right.

What is read here is the source, because no test can measure it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.house import Module, modules

ROOT = Path(__file__).parents[2]
SECRET = re.compile(r"(?:^|_)(?:secret|sha256|signature|token)s?$")
BY_VALUE = ast.Eq | ast.NotEq | ast.In | ast.NotIn
NO_SECRETS = {"storage/catalog.py": "the signature of a file is its size and age"}
#: both places where somebody outside proves who they are
PROOFS = {"bot/slack_http.py": "_verify", "engine/policy.py": "bearer"}


def hasty(module: Module) -> list[int]:
    """Give the lines that compare a secret with an operator, which stops at the first difference."""
    comparisons = (node for node in ast.walk(module.tree) if isinstance(node, ast.Compare))
    return [node.lineno for node in comparisons if isinstance(node.ops[0], BY_VALUE) and _names_a_secret(node)]


def _names_a_secret(comparison: ast.Compare) -> bool:
    sides = (comparison.left, *comparison.comparators)
    names = [getattr(side, "id", None) or getattr(side, "attr", None) or "" for side in sides]
    return any(SECRET.search(name) for name in names)


def test_secrets_are_compared_in_constant_time() -> None:
    judged = [
        module for module in modules(ROOT, "bot", "connectors", "engine", "storage") if module.place not in NO_SECRETS
    ]

    found = [f"{module.place}:{line}" for module in judged for line in hasty(module)]

    assert found == [], "use hmac.compare_digest"


@pytest.mark.parametrize("place", PROOFS)
def test_whoever_proves_who_they_are_is_checked_with_the_librarys_comparison(place: str) -> None:
    tree = ast.parse((ROOT / place).read_text(encoding="utf-8"))
    [proof] = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == PROOFS[place]]

    assert "hmac.compare_digest(" in ast.unparse(proof)


@pytest.mark.parametrize(
    "text", ["expected != signature", "known.sha256 == digest", "token in tokens", "self.signing_secret == given"]
)
def test_hasty_comparison_is_found(text: str) -> None:
    assert hasty(Module(place="bot/sample.py", text=text)) == [1]


@pytest.mark.parametrize("text", ["signature is None", "hmac.compare_digest(expected, signature)", "a == b"])
def test_other_comparison_is_in_order(text: str) -> None:
    assert hasty(Module(place="bot/sample.py", text=text)) == []
