"""Azure's refusals, as one table: status and code and text decide, never one of them alone.

The same code means a stopped machine with 409 and throttling with 429. What is not known to be a refusal of a write
must become ``Indeterminate``: saying "nothing was started" is a promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import ConnectorError, Indeterminate, Permanent, Transient

_DENIED: Final = re.compile(
    r"client '(?P<client>[^']*)'(?: with object id '(?P<object>[^']*)')?.*?action '(?P<action>[^']*)'"
    r".*?scope '(?P<scope>[^']*)'",
    re.DOTALL,
)
_NEVER_CONNECTED: Final = frozenset({"NewConnectionError", "ConnectTimeoutError", "NameResolutionError"})
_LONGEST: Final = 400  #: characters of the cloud's own words that are passed on
_TOO_MANY: Final = 429


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """Fits an answer when the status matches and code and text contain what is asked for; empty asks for nothing."""

    statuses: frozenset[int]
    code: str = ""
    text: str = ""
    becomes: type[Transient | Permanent]
    says: str
    hint: str

    def fits(self, answer: Answer) -> bool:
        code = self.code.lower() in answer.code.lower()
        return answer.status in self.statuses and code and self.text.lower() in answer.text.lower()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the cloud answered, as far as it is known."""

    status: int
    code: str = ""
    text: str = ""
    request_id: str = ""
    retry_after: float | None = None


def _rule(
    status: int | range, code: str, text: str, *, becomes: type[Transient | Permanent], says: str, hint: str
) -> _Rule:
    statuses = frozenset({status} if isinstance(status, int) else status)
    return _Rule(statuses=statuses, code=code, text=text, becomes=becomes, says=says, hint=hint)


_ANY_4XX: Final = range(400, 500)
RULES: Final = (
    _rule(401, "", "", becomes=Permanent, says="Azure does not accept the bot's token.",
          hint="Check the credential, its tenant and AZURE_CLOUD; then run `runbook doctor`."),
    _rule(403, "LinkedAuthorizationFailed", "", becomes=Permanent,
          says="The bot lacks a right on something that the command refers to.",
          hint="Run `runbook doctor` and give the bot's role the named action."),
    _rule(403, "RequestDisallowedByPolicy", "", becomes=Permanent, says="An Azure policy forbids the run command.",
          hint="Set the tags that the policy asks for in AZURE_TAGS, or have the policy exempt run commands."),
    _rule(403, "", "", becomes=Permanent, says="Azure refused: the bot's identity has no right to do this.",
          hint="Give the bot's role the missing action; a new role takes some minutes to act."),
    _rule(404, "SubscriptionNotFound", "", becomes=Permanent, says="The subscription does not exist for the bot.",
          hint="Check AZURE_SUBSCRIPTION_IDS and the tenant of the credential."),
    _rule(404, "NotFound", "in this azure location", becomes=Permanent,
          says="Azure does not know this kind of command.",
          hint="The machine's operating system does not fit the step's shell."),
    _rule(404, "", "", becomes=Permanent, says="The machine does not exist any more.",
          hint="Check the name; start a new session for a machine that was made again."),
    _rule(409, "OperationNotAllowed", "not running", becomes=Permanent, says="The machine is not running.",
          hint="Start the machine, then try the step again."),
    _rule(409, "OperationNotAllowed", "to be running", becomes=Permanent, says="The machine is not running.",
          hint="Start the machine, then try the step again."),
    _rule(409, "OperationNotAllowed", "extension operations are disallowed", becomes=Permanent,
          says="The machine does not allow extensions.", hint="Set osProfile.allowExtensionOperations to true."),
    _rule(409, "ScopeLocked", "", becomes=Permanent, says="A lock forbids this.",
          hint="Remove the lock; with one, finished run commands can never be removed."),
    _rule(409, "MissingSubscriptionRegistration", "", becomes=Permanent,
          says="Microsoft.Compute is not registered in the subscription.",
          hint="Have an owner register it: az provider register --namespace Microsoft.Compute"),
    _rule(409, "Conflict", "run command extension execution is in progress", becomes=Transient,
          says="Another action run command holds the machine.",
          hint="After more than 90 minutes, run RemoveRunCommandLinuxExtension, or use managed run commands."),
    _rule(409, "", "concurrent", becomes=Transient, says="Another change to the machine is under way.", hint=""),
    _rule(_ANY_4XX, "", "maximum number of managed run commands", becomes=Transient,
          says="The machine has 25 run commands, which is all that Azure allows.",
          hint="Remove run commands that are no longer needed."),
    _rule(_TOO_MANY, "", "", becomes=Transient, says="Azure asks for patience: too many requests.", hint=""),
    _rule(409, "", "", becomes=Permanent, says="Azure refused because of the machine's state.", hint=""),
    _rule(_ANY_4XX, "", "", becomes=Permanent, says="Azure refused the request.", hint=""),
)  # fmt: skip


def translate(error: Exception, *, write: bool, doing: str) -> ConnectorError:
    """Turn whatever the SDK raised into one of ours; ``write`` when the request could have changed something."""
    if _before_sending(error):
        return _not_sent(error, doing)
    answer = _answer_of(error)
    if answer is not None and answer.status in _ANY_4XX and not _proves_nothing(answer):
        return _refused(answer, doing)
    request_id = answer.request_id if answer else ""
    seen = f"status {answer.status} {answer.code}".rstrip() if answer else "no answer"
    if write:
        return Indeterminate(f"Azure did not say whether it did this: {doing} ({seen}).", request_id=request_id)
    retry_after = answer.retry_after if answer else None
    return Transient(f"Azure did not answer: {doing} ({seen}).", request_id=request_id, retry_after=retry_after)


def is_missing(error: Exception) -> bool:
    """Say whether Azure itself says that there is no such thing."""
    answer = _answer_of(error)
    return answer is not None and answer.status == 404 and bool(answer.code) and answer.code != "SubscriptionNotFound"


def status_of(error: Exception) -> int | None:
    """Return the HTTP status that an SDK error carries."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def is_concurrent(error: ConnectorError) -> bool:
    """Say whether a change was refused because of another one, by the class of the original answer."""
    answer = _answer_of(error.__cause__) if isinstance(error.__cause__, Exception) else None
    return answer is not None and answer.status == 409 and "concurrent" in answer.text.lower()


def is_full(error: ConnectorError) -> bool:
    """Say whether a machine has no room for another run command."""
    answer = _answer_of(error.__cause__) if isinstance(error.__cause__, Exception) else None
    return answer is not None and "maximum number of managed run commands" in answer.text.lower()


def _proves_nothing(answer: Answer) -> bool:
    """A time-out says nothing, and a 404 without Azure's own code comes from something in between."""
    return answer.status == 408 or (answer.status == 404 and not answer.code)


def _refused(answer: Answer, doing: str) -> ConnectorError:
    rule = next(rule for rule in RULES if rule.fits(answer))
    message, hint = f"{rule.says} ({doing}: {answer.code or answer.status})", rule.hint
    denied = _DENIED.search(answer.text) if answer.status == 403 else None
    if denied:
        who = denied["client"] + (f" (object id {denied['object']})" if denied["object"] else "")
        hint = f"Principal {who} lacks the action {denied['action']} on the scope {denied['scope']}. {hint}"
    elif rule.becomes is Permanent and answer.text:
        hint = f"{hint} Azure says: {answer.text[:_LONGEST]}".strip()
    if rule.becomes is Transient:
        return Transient(message, hint=hint, request_id=answer.request_id, retry_after=answer.retry_after)
    return Permanent(message, hint=hint, request_id=answer.request_id)


def _before_sending(error: Exception) -> bool:
    """True when the request certainly never reached Azure Resource Manager."""
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError  # noqa: PLC0415

    if isinstance(error, ClientAuthenticationError):
        return not _from_arm(error)
    if not isinstance(error, ServiceRequestError):
        return False
    return any(type(inner).__name__ in _NEVER_CONNECTED or _bad_certificate(inner) for inner in _causes(error))


def _not_sent(error: Exception, doing: str) -> ConnectorError:
    if any(_bad_certificate(inner) for inner in _causes(error)):
        hint = "Check AZURE_RESOURCE_MANAGER_URL and the certificate authority that signs its certificate."
        return Permanent(f"The certificate of Azure Resource Manager is not trusted ({doing}).", hint=hint)
    if type(error).__name__ == "ClientAuthenticationError" or "Credential" in type(error).__name__:
        return _no_token(error, doing)
    return Transient(f"Azure Resource Manager cannot be reached ({doing}).", hint="Check network and name resolution.")


def _no_token(error: Exception, doing: str) -> ConnectorError:
    text = str(error)
    if "AADSTS7000215" in text:
        hint = "The client secret is wrong; often the secret's id was pasted in place of its value."
        return Permanent(f"The bot gets no token for Azure ({doing}).", hint=hint)
    if "AADSTS" in text or type(error).__name__ == "CredentialUnavailableError":
        hint = "Check the credential settings; then run `runbook doctor`."
        return Permanent(f"The bot gets no token for Azure ({doing}).", hint=hint)
    return Transient(f"The bot gets no token for Azure just now ({doing}).", hint="Check the identity endpoint.")


def _from_arm(error: Exception) -> bool:
    request = getattr(getattr(error, "response", None), "request", None)
    return "/providers/" in str(getattr(request, "url", "")) or "/subscriptions/" in str(getattr(request, "url", ""))


def _bad_certificate(error: BaseException) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk through what an error of the transport wraps: arguments, reasons and causes."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            yield one
            todo += [*one.args, getattr(one, "reason", None), getattr(one, "inner_exception", None), one.__cause__]


def _answer_of(error: Exception | None) -> Answer | None:
    status = getattr(error, "status_code", None)
    if error is None or not isinstance(status, int):
        return None
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    told = getattr(error, "error", None)
    code, text = getattr(told, "code", None) or "", getattr(told, "message", None) or getattr(error, "message", "")
    return Answer(
        status=status,
        code=str(code),
        text=f"{text}",
        request_id=str(headers.get("x-ms-request-id", "")),
        retry_after=retry_after(headers),
    )


def retry_after(headers: Mapping[str, Any]) -> float | None:
    """Read the wait that a refusal names, in seconds."""
    value = str(headers.get("Retry-After", ""))
    return float(value) if re.fullmatch(r"\d{1,6}(\.\d+)?", value) else None
