"""A policy file that is wrong in any place keeps the bot from starting, and the refusal names file, line and cure."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from engine.errors import Misconfigured
from engine.model import Person, Risk
from storage.policy_file import load_policy

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
PLAYGROUND = Path(__file__).parents[2] / "playground" / "policy.yaml"
GOOD = """\
workspace:
  team: T0HOME
groups:
  oncall: [U0BOB, U0CAROL]
default:
  approvers: [oncall]
rules:
  - name: high-risk
    when: {risk: [high]}
    approvers: [oncall]
    quorum: 2
tokens:
  - name: deploy
    sha256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    person: U0BOB
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def refusal(file: Path, text: str) -> Misconfigured:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured) as refused:
        load_policy(file)
    return refused.value


def line_of(file: Path, refused: Misconfigured) -> int:
    found = re.match(rf"{re.escape(str(file))}:(\d+):\d+: ", refused.message)
    assert found, refused.message
    return int(found.group(1))


def test_good_policy_is_read_and_its_version_is_the_hash_of_the_file(file: Path):
    file.write_text(GOOD, encoding="utf-8")

    policy = load_policy(file)

    assert policy.version == hashlib.sha256(GOOD.encode()).hexdigest()
    assert policy.audience(risk=Risk.HIGH, runbook="any", environment="prod").quorum == 2


def test_token_of_the_file_speaks_for_its_person(file: Path):
    file.write_text(GOOD, encoding="utf-8")

    policy = load_policy(file)

    assert policy.bearer("foo") == (Person(team="T0HOME", user="U0BOB"), "deploy")
    assert policy.bearer("fop") is None


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("approvers: [oncall]\nrules", "approvers: [onkall]\nrules", 6, "'onkall'"),
        ("    approvers: [oncall]\n", "    approvers: [sre]\n", 10, "rule high-risk"),
        ("[U0BOB, U0CAROL]", "[]", 4, "oncall"),
        ("  approvers: [oncall]\nrules", "  quorum: 1\nrules", 5, "'approvers' is missing"),
        ("approvers: [oncall]\nrules", "approvers: []\nrules", 6, "approvers"),
        ("approvers: [oncall]\nrules", "approvers:\nrules", 6, "approvers"),
        ("approvers: [oncall]\nrules", 'approvers: [""]\nrules', 6, "''"),
        ("approvers: [oncall]\nrules", 'approvers: ["*"]\nrules', 6, "'*'"),
        ("[U0BOB, U0CAROL]", '["*"]', 4, "groups"),
        ("[U0BOB, U0CAROL]", "[bob]", 4, "groups"),
        ("[U0BOB, U0CAROL]", "[bob@example.com]", 4, "groups"),
        ("    quorum: 2", "    quorum: -1", 11, "quorum"),
        ("    quorum: 2", "    quorum: 0", 11, "quorum"),
        ("    quorum: 2", "    quorum: 3", 10, "only 2 people"),
        ("    quorum: 2", "    quorum: yes", 11, "yes"),
        ("    quorum: 2", "    qourum: 2", 11, "quorum"),
        ("    quorum: 2", "    quorum: 2\n    quorum: 1", 12, "again"),
        ("workspace:", "defaults: {}\nworkspace:", 1, "default"),
        ("  team: T0HOME", "  team: home", 2, "team"),
        ("default:\n  approvers: [oncall]\n", "", 1, "'default' is missing"),
        ("    person: U0BOB", "    person: bob", 15, "person"),
        ('"2c26', '"2C26', 14, "sha256"),
        ("rules:\n", "rules:\n  - name: high-risk\n    approvers: [oncall]\n", 10, "high-risk"),
        ("groups:", "groups: &x", 3, "anchors"),
        ("  oncall: [U0BOB", "\t\toncall: [U0BOB", 4, ""),
    ],
)
def test_wrong_place_is_named_with_line_and_cure(file: Path, old: str, new: str, line: int, words: str):
    assert old in GOOD

    refused = refusal(file, GOOD.replace(old, new, 1))

    assert line_of(file, refused) == line
    assert words in str(refused)


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n"])
def test_empty_file_is_refused_with_where_to_read_on(file: Path, text: str):
    refused = refusal(file, text)

    assert str(file) in refused.message
    assert "docs/policy.md" in refused.hint


def test_same_people_named_twice_do_not_make_a_quorum(file: Path):
    text = GOOD.replace("    approvers: [oncall]", "    approvers: [U0BOB, T0HOME/U0BOB]")

    assert "only 1 people" in refusal(file, text).message


def test_missing_file_is_refused_with_the_setting_that_names_it(file: Path):
    with pytest.raises(Misconfigured, match=r"policy\.yaml") as refused:
        load_policy(file)

    assert "RUNBOOK_POLICY" in refused.value.hint


def test_folder_is_no_policy(tmp_path: Path):
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_policy(tmp_path)


def test_file_that_is_not_utf_8_is_refused_with_the_line(file: Path):
    file.write_bytes(b"workspace:\n  team: T\xff0HOME\n")

    with pytest.raises(Misconfigured, match="UTF-8") as refused:
        load_policy(file)

    assert line_of(file, refused.value) == 2


def test_refusal_never_shows_the_hash_of_a_token(file: Path):
    refused = refusal(file, GOOD.replace('e7ae"', 'e7az"'))

    assert "2c26b46b" not in str(refused)


def test_example_of_the_page_is_a_policy(file: Path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file.write_text(example, encoding="utf-8")

    policy = load_policy(file)

    assert policy.audience(risk=Risk.HIGH, runbook="any", environment="prod").quorum == 2


def test_example_of_the_page_opens_no_door_for_a_guessable_token(file: Path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file.write_text(example, encoding="utf-8")
    policy = load_policy(file)

    guesses = ["", "foo", "bar", "test", "token", "secret", "password", "changeme", "deploy-bot", "example", "hello"]

    assert [guess for guess in guesses if policy.bearer(guess)] == []


def test_policy_of_the_playground_is_a_policy():
    assert load_policy(PLAYGROUND).document.workspace.team == "T0DEMO"


def test_one_token_for_two_people_is_refused_at_the_second(file: Path):
    second = """\
  - name: other
    sha256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    person: U0CAROL
"""

    refused = refusal(file, GOOD + second)

    assert "the same SHA-256" in refused.message
    assert line_of(file, refused) == 17
