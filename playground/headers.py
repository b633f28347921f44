"""HTTP headers as the inspector may show them: every name, no secret.

It must never hand back what opens anything: tokens, cookies, identity headers, a whole signature.
"""

from __future__ import annotations

from collections.abc import Mapping

HIDDEN = "***"
_SECRET = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-identity-header",
        "x-ms-authorization-auxiliary",
        "x-playground-token",
    }
)
_SIGNATURE = "x-slack-signature"
_SIGNATURE_SHOWN = 8


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the headers in their order, without their secrets."""
    return {name: _shown(name.lower(), value) for name, value in headers.items()}


def _shown(name: str, value: str) -> str:
    if name == _SIGNATURE:
        return value[:_SIGNATURE_SHOWN] + HIDDEN
    if name not in _SECRET:
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {HIDDEN}" if space and scheme in {"Basic", "Bearer"} else HIDDEN
