"""Reads the policy file: strict YAML, checked as a whole; its SHA-256 is the policy's version.

Nothing here may ever repair a policy or fill in an approver: whatever is wrong keeps the bot from starting.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.errors import InvalidInput, Misconfigured
from engine.policy import Policy, PolicyDocument, check_policy
from storage.strict_yaml import MalformedFile, Parsed, Path_, Problem, parse, validate

HINT = "`docs/policy.md` describes the file; the setting RUNBOOK_POLICY names it."


def load_policy(path: Path) -> Policy:
    """Return the policy; ``Misconfigured`` says which place of the file is wrong and how to mend it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"The policy file {path} cannot be read: {error.strerror}.", hint=HINT) from error
    try:
        return _checked(_parsed(data, path), version=hashlib.sha256(data).hexdigest())
    except InvalidInput as error:
        raise Misconfigured(error.message, hint=error.hint or HINT) from error


def _parsed(data: bytes, path: Path) -> Parsed:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _problem(str(path), (line, 1), "this line is not UTF-8.", "Save the file as UTF-8.") from error
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        raise Misconfigured(f"The policy file {path} is empty.", hint=HINT)
    return parse(text, file=str(path))


def _checked(parsed: Parsed, *, version: str) -> Policy:
    document = validate(PolicyDocument, parsed)
    try:
        return check_policy(document, version=version)
    except InvalidInput as error:
        place = parsed.places[_guilty(document)]
        message = f"{error.message[:1].lower()}{error.message[1:]}"
        raise _problem(parsed.file, place.key or (place.line, place.column), message, error.hint) from error


def _guilty(document: PolicyDocument) -> Path_:
    """Return the part that makes a policy unusable, found by checking it with the parts before it only."""
    bare = document.model_copy(update={"tokens": ()})
    if _is_unusable(bare.model_copy(update={"rules": ()})):
        return ("default", "approvers")
    for count in range(len(document.rules)):
        if _is_unusable(bare.model_copy(update={"rules": document.rules[count : count + 1]})):
            return ("rules", count, "approvers")
        if _is_unusable(bare.model_copy(update={"rules": document.rules[: count + 1]})):
            return ("rules", count, "name")
    for count in range(len(document.tokens)):
        if _is_unusable(document.model_copy(update={"tokens": document.tokens[: count + 1]})):
            return ("tokens", count, "sha256")
    return ()


def _is_unusable(document: PolicyDocument) -> bool:
    try:
        check_policy(document, version="")
    except InvalidInput:
        return True
    return False


def _problem(file: str, where: tuple[int, int], message: str, hint: str) -> MalformedFile:
    line, column = where
    return MalformedFile((Problem(file=file, line=line, column=column, message=message, hint=hint),))
