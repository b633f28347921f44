"""The contents of a policy file for tests: valid by default, with one keyword for what a test is about."""

from __future__ import annotations

from typing import Any

from engine.policy import Policy, PolicyDocument, check_policy

VERSION = "c" * 64


def a_policy_file(**changes: Any) -> PolicyDocument:
    """Operators are Bob and Carol; they decide everything that no rule says otherwise about."""
    facts: dict[str, Any] = {
        "workspace": {"team": "T0HOME"},
        "groups": {"operators": ["U0BOB", "U0CAROL"], "leads": ["U0DAVE"]},
        "default": {"approvers": ["operators"]},
    }
    return PolicyDocument.model_validate(facts | changes)


def a_policy(**changes: Any) -> Policy:
    return check_policy(a_policy_file(**changes), version=VERSION)
