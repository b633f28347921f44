"""Reads the policy file: strict YAML, checked as a whole; its SHA-256 is the policy's version."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.errors import InvalidInput, Misconfigured
from engine.policy import Policy, PolicyDocument, check_policy
from storage.strict_yaml import parse, validate

HINT = "`docs/policy.md` describes the file; the setting RUNBOOK_POLICY names it."


def load_policy(path: Path) -> Policy:
    """Return the policy; ``Misconfigured`` says which place of the file is wrong and how to mend it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"The policy file {path} cannot be read: {error.strerror}.", hint=HINT) from error
    try:
        text = data.decode("utf-8")
        document = validate(PolicyDocument, parse(text, file=str(path)))
        return check_policy(document, version=hashlib.sha256(data).hexdigest())
    except UnicodeDecodeError as error:
        raise Misconfigured(f"The policy file {path} is not UTF-8 at byte {error.start}.", hint=HINT) from error
    except InvalidInput as error:
        raise Misconfigured(error.message, hint=error.hint or HINT) from error
