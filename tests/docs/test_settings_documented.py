"""The settings page equals the code, and every setting that is wrong is refused by name."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.settings import Settings, load_settings, require_slack
from engine.errors import Misconfigured

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def _default(value: object) -> str:
    if isinstance(value, SecretStr) or value in ("", None, ()):
        return "none"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def _rows() -> list[str]:
    fields = Settings.model_fields.values()
    return [f"| `{field.alias}` | {_default(field.default)} | {field.description} |" for field in fields]


@pytest.mark.parametrize("row", _rows())
def test_every_setting_stands_in_the_page_with_default_and_meaning(row: str):
    assert row in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_page_names_no_setting_that_does_not_exist():
    listed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    assert listed == _rows()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without any setting of ours, in a folder without a .env file."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_a_misspelt_setting_is_refused_with_the_nearest_name(bare: pytest.MonkeyPatch):
    bare.setenv("RUNBOOK_POLICI", "policy.yaml")

    with pytest.raises(Misconfigured, match="RUNBOOK_POLICI") as refused:
        load_settings()

    assert "RUNBOOK_POLICY" in refused.value.hint


def test_a_wrong_value_is_refused_with_the_name_and_meaning_of_the_setting(bare: pytest.MonkeyPatch):
    bare.setenv("RUNBOOK_HTTP_PORT", "eighty")

    with pytest.raises(Misconfigured, match="RUNBOOK_HTTP_PORT") as refused:
        load_settings()

    assert "Port" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", ""),
        ("SLACK_BOT_TOKEN", "xapp-wrong-kind-of-token"),
        ("SLACK_BOT_TOKEN", "xoxb-short"),
        ("SLACK_BOT_TOKEN", "xoxb-aaaaaaaaaaaaaaaaaaaa"),
        ("SLACK_SIGNING_SECRET", ""),
        ("SLACK_SIGNING_SECRET", "changeme"),
        ("SLACK_SIGNING_SECRET", "                    "),
        ("SLACK_SIGNING_SECRET", "0000000000000000000000"),
    ],
)
def test_serving_is_refused_with_an_empty_short_or_placeholder_secret(bare: pytest.MonkeyPatch, name: str, value: str):
    bare.setenv("SLACK_BOT_TOKEN", "xoxb-1234567890-abcdef")
    bare.setenv("SLACK_SIGNING_SECRET", "0123456789abcdef0123456789abcdef")
    bare.setenv(name, value)

    with pytest.raises(Misconfigured, match=name) as refused:
        require_slack(load_settings())

    assert value.strip() == "" or value not in str(refused.value)


def test_secrets_never_show_in_the_settings_own_text(bare: pytest.MonkeyPatch):
    bare.setenv("SLACK_BOT_TOKEN", "xoxb-1234567890-abcdef")
    bare.setenv("RUNBOOK_TOKEN", "my-own-bearer-token")

    shown = f"{load_settings()!r} {load_settings()}"

    assert "abcdef" not in shown
    assert "my-own-bearer-token" not in shown


def test_socket_mode_opens_no_port_unless_one_is_set(bare: pytest.MonkeyPatch):
    bare.setenv("SLACK_APP_TOKEN", "xapp-1-A0-123-abcdef")

    assert load_settings().port is None

    bare.setenv("RUNBOOK_HTTP_PORT", "8000")

    assert load_settings().port == 8000
