"""What the Azure connector must be told, and the identity of a machine. Reads no environment and no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.errors import InvalidInput

_NAME = r"[A-Za-z0-9_(][A-Za-z0-9._()-]{0,89}"  # never a dot first: it must not walk up a path
_ID: Final = re.compile(
    rf"/subscriptions/([0-9a-f-]{{36}})/resourcegroups/({_NAME})/providers/microsoft\.compute/virtualmachines/({_NAME})/?",
    re.IGNORECASE,
)
PLAIN_NAME: Final = re.compile(_NAME)


@dataclass(frozen=True, kw_only=True)
class AzureSettings:
    """Everything has the value that is right for the public cloud and a managed identity."""

    subscription_ids: tuple[str, ...]
    arm_url: str = ""  #: empty: the cloud's own address
    cloud: str = "public"  #: public, china or usgov
    credential: str = "managed_identity"  #: managed_identity, workload, environment (certificate or secret) or default
    client_id: str = ""  #: of a user-assigned managed identity or a workload identity
    connection_verify: str | None = None  #: file with the certificate authority to trust in place of the system's
    instance: str = "runbook-bot"  #: marks our run commands, so that a bot cleans up its own only
    tags: Mapping[str, str] = field(default_factory=dict)  #: that a policy demands
    use_action_fallback: bool = False
    poll_seconds: tuple[float, ...] = (5.0, 10.0, 15.0, 20.0, 30.0)
    connect_seconds: float = 5.0
    read_seconds: float = 20.0  #: silence after which a request is given up
    token_retries: int = 2
    side_seconds: float = 90.0  #: for a probe, kill or read command from start to end
    side_poll_seconds: float = 4.0
    inventory_seconds: float = 60.0  #: age up to which a list of machines is good enough for a picker
    stale_heartbeat_seconds: float = 300.0
    bucket_share: float = 0.8


@dataclass(frozen=True)
class VmId:
    """A machine's place in Azure, in lower case: Azure compares without regard to case and answers in any."""

    subscription: str
    group: str
    name: str

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourcegroups/{self.group}"
            f"/providers/microsoft.compute/virtualmachines/{self.name}"
        )

    @classmethod
    def parse(cls, text: str) -> VmId:
        """Read a resource id, strictly."""
        found = _ID.fullmatch(text.strip())
        if not found:
            raise InvalidInput(
                "This is not the resource id of a virtual machine.",
                hint="It looks like /subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/virtualMachines/…",
            )
        return cls(*(part.lower() for part in found.groups()))
