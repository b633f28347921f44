"""The README is run, not believed: its commands exist, its runbook loads, its links lead somewhere."""

import re
from pathlib import Path

import pytest

from storage.policy_file import load_policy
from storage.strict_yaml import load_document

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_runbook_in_the_readme_is_valid(tmp_path: Path):
    file = tmp_path / "restart-web.yaml"
    file.write_text(blocks("yaml")[0], encoding="utf-8")

    document = load_document(file)

    assert [step.name for _, step in document.runbook.phased()] == [
        "Web service state",
        "Restart the service",
        "Service is active",
    ]


@pytest.mark.parametrize("target", re.findall(r"^make (\S+)", "\n".join(blocks("sh")), re.MULTILINE))
def test_every_make_command_of_the_readme_is_a_target(target: str):
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    missing = [link for link in links if not (page.parent / link).exists()]

    assert not missing


def test_the_policy_in_the_documentation_is_valid(tmp_path: Path):
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    file = tmp_path / "policy.yaml"
    file.write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0], encoding="utf-8")

    policy = load_policy(file)

    assert [rule.name for rule in policy.document.rules] == ["high-risk"]


def test_the_example_policy_is_valid():
    policy = load_policy(ROOT / "policy.example.yaml")

    assert policy.document.default.approvers == ("oncall",)
