"""The token endpoint of a host with a managed identity, and the table of tokens it gave out.

Tokens look like the real ones and are worth nothing elsewhere. Only their table decides who a caller is.
"""

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from playground.azure import errors
from playground.azure.rbac import Principal

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
TENANT = "00000000-0000-0000-0000-00000000aaaa"


@dataclass(frozen=True)
class Token:
    principal: Principal
    audience: str
    expires: datetime


class TokenRefusedError(Exception):
    """An answer of the token endpoint, which has an envelope of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Identity:
    """One system-assigned identity, and more by client id."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._tokens: dict[str, Token] = {}
        self.header = secrets.token_hex(16)
        self.system = Principal("00000000-0000-0000-0000-00000000c001", "00000000-0000-0000-0000-00000000b001")
        self.assigned: dict[str, Principal] = {self.system.client_id: self.system}
        self.life = timedelta(hours=24)
        self.audiences = set(AUDIENCES)

    def add(self, principal: Principal) -> None:
        self.assigned[principal.client_id] = principal

    def give(self, query: dict[str, str], header: str | None) -> dict[str, Any]:
        if header != self.header:
            raise TokenRefusedError(401, "The X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != "2019-08-01":
            raise TokenRefusedError(400, "The api-version is not supported.")
        if not query.get("resource"):
            raise TokenRefusedError(400, "The resource parameter is required.")
        principal = self._principal(query)
        token, expires = self.issue(principal, query["resource"])
        return {
            "access_token": token,
            "client_id": principal.client_id,
            "expires_on": str(int(expires.timestamp())),
            "resource": query["resource"],
            "token_type": "Bearer",
        }

    def _principal(self, query: dict[str, str]) -> Principal:
        wanted = query.get("client_id", self.system.client_id)
        if wanted not in self.assigned:
            message = (
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
            )
            raise TokenRefusedError(400, message)
        return self.assigned[wanted]

    def issue(self, principal: Principal, audience: str) -> tuple[str, datetime]:
        expires = self._now() + self.life
        claims = {"aud": audience, "oid": principal.object_id, "appid": principal.client_id, "tid": TENANT}
        parts = (
            {"typ": "JWT", "alg": "RS256", "kid": "playground"},
            {**claims, "exp": int(expires.timestamp())},
        )
        token = ".".join([*(_encode(part) for part in parts), secrets.token_urlsafe(256)])
        self._tokens[token] = Token(principal, audience, expires)
        return token, expires

    def expire_tokens(self) -> None:
        """Everything given out so far is too old from now on."""
        for text, token in self._tokens.items():
            self._tokens[text] = Token(token.principal, token.audience, self._now() - timedelta(seconds=1))

    def authenticate(self, authorization: str | None) -> Principal:
        if not authorization or not authorization.startswith("Bearer "):
            message = "Authentication failed. The 'Authorization' header is missing."
            raise errors.unauthenticated("AuthenticationFailed", message)
        token = self._tokens.get(authorization.removeprefix("Bearer "))
        if token is None:
            raise errors.unauthenticated("InvalidAuthenticationToken", "The access token is invalid.")
        if token.expires <= self._now():
            message = (
                f"The access token expiry UTC time '{token.expires}' is earlier than current UTC time '{self._now()}'."
            )
            raise errors.unauthenticated("InvalidAuthenticationToken", message)
        if token.audience.rstrip("/") not in self.audiences:
            message = f"The access token has been obtained for wrong audience or resource '{token.audience}'."
            raise errors.unauthenticated("InvalidAuthenticationTokenAudience", message)
        return token.principal


def _encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
