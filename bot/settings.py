"""All settings of the product, read once from the environment or a ``.env`` file.

Nothing else may read the environment. Secrets are typed as secrets: they never show in logs, errors or ``repr``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from engine.errors import Misconfigured

PLACEHOLDERS = frozenset({"changeme", "secret", "placeholder", "xxx", "todo", "your-secret", "example"})
Listed = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """The settings, by the name of their environment variable. Each description is documentation."""

    model_config = SettingsConfigDict(env_file=".env", frozen=True, extra="ignore", populate_by_name=True)

    slack_bot_token: SecretStr = Field(
        default=SecretStr(""), alias="SLACK_BOT_TOKEN", description="Bot token of the Slack app. Example: `xoxb-…`"
    )
    slack_app_token: SecretStr = Field(
        default=SecretStr(""),
        alias="SLACK_APP_TOKEN",
        description="App-level token with `connections:write`; switches Socket Mode on. Example: `xapp-…`",
    )
    slack_signing_secret: SecretStr = Field(
        default=SecretStr(""),
        alias="SLACK_SIGNING_SECRET",
        description="Signing secret of the Slack app; needed for requests over HTTP: 32 hexadecimal characters",
    )
    slack_api_url: str = Field(
        default="https://slack.com/api/", alias="SLACK_API_URL", description="Base address of Slack's Web API."
    )
    slack_team_id: str = Field(
        default="",
        alias="SLACK_TEAM_ID",
        description="The only workspace that is served; default: that of the bot token. Example: `T024BE7LD`",
    )
    database_url: str = Field(
        default="sqlite:///runbook.db",
        alias="DATABASE_URL",
        description="Where the rows are kept. Example: `postgresql+psycopg://runbook@db/runbook`",
    )
    runbook_dir: Path = Field(default=Path("runbooks"), alias="RUNBOOK_DIR", description="Folder of the runbook files.")
    policy_file: Path = Field(
        default=Path("policy.yaml"), alias="RUNBOOK_POLICY", description="File that says who may approve what."
    )
    http_host: str = Field(
        default="127.0.0.1", alias="RUNBOOK_HTTP_HOST", description="Address that the HTTP side listens on."
    )
    http_port: int | None = Field(
        default=None,
        alias="RUNBOOK_HTTP_PORT",
        ge=0,
        le=65535,
        description="Port of the HTTP side; default: 8000 without Socket Mode, none beside it.",
    )
    default_channel: str = Field(
        default="",
        alias="RUNBOOK_CHANNEL",
        description="Channel id for the threads of sessions started by API or command line. Example: `C024BE91L`",
    )
    token: SecretStr = Field(
        default=SecretStr(""),
        alias="RUNBOOK_TOKEN",
        description="Your bearer token, for the command line: it says who you are. Its hash stands in the policy file.",
    )
    local: bool = Field(
        default=False,
        alias="RUNBOOK_LOCAL",
        description="Allow `vm=local`: commands on the bot's own host. Never a fallback.",
    )
    log_level: str = Field(
        default="INFO",
        alias="RUNBOOK_LOG_LEVEL",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Lowest level that is logged.",
    )
    workers: int = Field(
        default=8, alias="RUNBOOK_WORKERS", ge=1, le=64, description="Threads that talk to machines at the same time."
    )
    lease_seconds: float = Field(
        default=60,
        alias="RUNBOOK_LEASE_SECONDS",
        ge=1,
        le=600,
        description="PostgreSQL: how long a silent replica is believed to be alive. 30 to 60 suits most; see scaling.",
    )
    poll_seconds: Listed = Field(
        default=("5", "10", "15", "20", "30"),
        alias="RUNBOOK_POLL_SECONDS",
        description="Waits between two looks at a running command, in seconds; the last one repeats.",
    )
    azure_subscription_ids: Listed = Field(
        default=(),
        alias="AZURE_SUBSCRIPTION_IDS",
        description="Subscriptions whose VMs are within reach, separated by commas; switches the Azure connector on.",
    )
    azure_resource_manager_url: str = Field(
        default="",
        alias="AZURE_RESOURCE_MANAGER_URL",
        description="Address of Azure Resource Manager; default: that of the cloud.",
    )
    azure_cloud: str = Field(
        default="public",
        alias="AZURE_CLOUD",
        pattern="^(public|china|usgov)$",
        description="Azure cloud: public, china or usgov.",
    )
    azure_client_id: str = Field(
        default="",
        alias="AZURE_CLIENT_ID",
        description="Client id of a user-assigned managed identity or of an application. Example: a GUID",
    )
    azure_federated_token_file: str = Field(
        default="", alias="AZURE_FEDERATED_TOKEN_FILE", description="Set by workload identity; chooses it."
    )
    azure_client_certificate_path: str = Field(
        default="",
        alias="AZURE_CLIENT_CERTIFICATE_PATH",
        description="Certificate of an application, for use outside Azure; needs AZURE_TENANT_ID and AZURE_CLIENT_ID.",
    )
    azure_client_secret: SecretStr = Field(
        default=SecretStr(""),
        alias="AZURE_CLIENT_SECRET",
        description="Secret of an application, the last resort outside Azure; the value, not the secret's id.",
    )
    azure_tags: Listed = Field(
        default=(),
        alias="AZURE_TAGS",
        description="Tags that your Azure policy demands on run commands. Example: `cost=ops,owner=sre`",
    )
    azure_rate_share: float = Field(
        default=0.8,
        alias="AZURE_RATE_SHARE",
        gt=0,
        le=100,
        description="Share of Azure's documented request limits that the bot may use; less beside other tools.",
    )
    azure_action_fallback: bool = Field(
        default=False,
        alias="AZURE_ACTION_FALLBACK",
        description="Use action Run Command instead of managed Run Command: no cancel, no name, at most once.",
    )

    @field_validator("poll_seconds", "azure_subscription_ids", "azure_tags", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("poll_seconds")
    @classmethod
    def _numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(float(part) <= 0 for part in value):
            raise ValueError("give positive numbers of seconds, such as 5,10,30")
        return value

    @field_validator("azure_tags")
    @classmethod
    def _pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("=" not in part for part in value):
            raise ValueError("write name=value, separated by commas")
        return value

    @property
    def socket_mode(self) -> bool:
        return bool(self.slack_app_token.get_secret_value())

    @property
    def port(self) -> int | None:
        """Return the port of the HTTP side, or None for no HTTP side."""
        if self.http_port is None:
            return None if self.socket_mode else 8000
        return self.http_port

    @property
    def poll_waits(self) -> tuple[float, ...]:
        return tuple(float(part) for part in self.poll_seconds)

    @property
    def azure_credential(self) -> str:
        """Return which kind of credential the environment asks for; a managed identity unless it says otherwise."""
        if self.azure_federated_token_file:
            return "workload"
        if self.azure_client_certificate_path or self.azure_client_secret.get_secret_value():
            return "environment"
        return "managed_identity"

    @property
    def azure_tag_map(self) -> dict[str, str]:
        return dict(part.split("=", 1) for part in self.azure_tags)

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, so that it can be removed from whatever is stored or shown."""
        kept = (
            self.slack_bot_token,
            self.slack_app_token,
            self.slack_signing_secret,
            self.token,
            self.azure_client_secret,
        )
        return tuple(value for value in (secret.get_secret_value() for secret in kept) if value)


def load_settings(environment: Iterable[str] | None = None) -> Settings:
    """Read the settings, or say which one is wrong, what it means and what a right one looks like."""
    _refuse_misspelt(os.environ if environment is None else environment)
    try:
        return Settings()
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = str(problem["loc"][0]) if problem["loc"] else "a setting"
        raise Misconfigured(f"{name}: {problem['msg']}.", hint=meaning_of(name)) from None


def require_slack(settings: Settings) -> None:
    """Refuse to serve without usable Slack credentials."""
    _require(settings.slack_bot_token, "SLACK_BOT_TOKEN", prefix="xoxb-", least=12)
    if settings.socket_mode:
        _require(settings.slack_app_token, "SLACK_APP_TOKEN", prefix="xapp-", least=12)
    else:
        _require(settings.slack_signing_secret, "SLACK_SIGNING_SECRET", prefix="", least=16)


def meaning_of(name: str) -> str:
    """Return what a setting means, with an example."""
    for field in Settings.model_fields.values():
        if field.alias == name:
            return field.description or ""
    return ""


def _require(secret: SecretStr, name: str, *, prefix: str, least: int) -> None:
    value = secret.get_secret_value().strip()
    if not value:
        raise Misconfigured(f"{name} is not set.", hint=meaning_of(name))
    if not value.startswith(prefix):
        raise Misconfigured(f"{name} does not start with {prefix!r}.", hint=meaning_of(name))
    bare = value.removeprefix(prefix)
    if len(value) < least or bare.lower() in PLACEHOLDERS or len(set(bare)) < 4:
        raise Misconfigured(f"{name} is too short or a placeholder.", hint=meaning_of(name))


def _refuse_misspelt(environment: Iterable[str]) -> None:
    known = {field.alias for field in Settings.model_fields.values() if field.alias}
    for name in environment:
        if name.startswith("RUNBOOK_") and name not in known and not name.startswith("RUNBOOK_TEST_"):
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"Did you mean {near[0]}?" if near else "`docs/settings.md` lists all settings."
            raise Misconfigured(f"There is no setting {name}.", hint=guess)
