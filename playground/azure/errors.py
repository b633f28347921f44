"""The error answers of Azure Resource Manager and Compute, with the codes and texts that clients meet.

Messages are the cloud's, not ours: they are the thing under test, so they are never made friendlier here.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class ArmError(Exception):
    """An answer in the error envelope."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, **self.extra}}


def unauthenticated(code: str, message: str) -> ArmError:
    challenge = (
        'Bearer authorization_uri="https://login.windows.net/00000000-0000-0000-0000-00000000aaaa", '
        f'error="invalid_token", error_description="{message}"'
    )
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


def forbidden(client: str, object_id: str, *, action: str, scope: str) -> ArmError:
    message = (
        f"The client '{client}' with object id '{object_id}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please "
        "refresh your credentials."
    )
    return ArmError(403, "AuthorizationFailed", message)


def subscription_not_found(subscription: str) -> ArmError:
    message = f"The subscription '{subscription}' could not be found."
    return ArmError(404, "SubscriptionNotFound", message)


def group_not_found(group: str) -> ArmError:
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def resource_not_found(kind_and_name: str, group: str) -> ArmError:
    message = (
        f"The Resource '{kind_and_name}' under resource group '{group}' was not found. For more details "
        "please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return ArmError(404, "ResourceNotFound", message)


def parent_not_found(parent: str) -> ArmError:
    message = (
        "Failed to perform 'write' on resource(s) of type 'virtualMachines/runCommands', because the parent "
        f"resource '{parent}' could not be found."
    )
    return ArmError(404, "ParentResourceNotFound", message)


def not_in_location(entity: str) -> ArmError:
    return ArmError(404, "NotFound", f"The entity '{entity}' was not found in this Azure location.")


def invalid_parameter(target: str, message: str) -> ArmError:
    return ArmError(400, "InvalidParameter", message, extra={"target": target})


def vm_not_running_for_extensions() -> ArmError:
    message = "Cannot modify extensions in the VM when the VM is not running."
    inner = {"innererror": {"internalErrorCode": "CannotModifyExtensionsWhenVMNotRunning"}}
    return ArmError(409, "OperationNotAllowed", message, extra=inner)


def vm_not_running() -> ArmError:
    message = "The operation requires the VM to be running (or set to run)."
    return ArmError(409, "OperationNotAllowed", message)


def extensions_disallowed() -> ArmError:
    message = (
        "This operation cannot be performed when extension operations are disallowed. To allow, please ensure "
        "VM Agent is installed on the VM and the osProfile.allowExtensionOperations property is true."
    )
    return ArmError(409, "OperationNotAllowed", message)


def concurrent_change() -> ArmError:
    message = (
        "The request failed due to conflict with a concurrent request. To resolve it, please refer to "
        "https://aka.ms/activitylog to get more details on the conflicting requests."
    )
    return ArmError(409, "Conflict", message)


def action_in_progress() -> ArmError:
    message = (
        "Run command extension execution is in progress. Please wait for completion before invoking a run command."
    )
    return ArmError(409, "Conflict", message)


def too_many_run_commands(current: int) -> ArmError:
    message = (
        f"The maximum number of managed Run commands (max=25, current={current}) has been exceeded. Use fewer "
        "Run commands and retry the request. To list Run commands, refer: "
        "https://aka.ms/RunCommandManaged#list-all-deployed-runcommand-resources-on-a-vm-1 and then delete a Run "
        "command: https://aka.ms/RunCommandManaged#delete-runcommand-resource-from-the-vm-1"
    )
    return ArmError(400, "BadRequest", message)


def scope_locked(scope: str, verb: str, locked: Sequence[str]) -> ArmError:
    message = (
        f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: "
        f"'{','.join(locked)}'. Please remove the lock and try again."
    )
    return ArmError(409, "ScopeLocked", message)


def disallowed_by_policy(name: str, policy: str) -> ArmError:
    message = (
        f"Resource '{name}' was disallowed by policy. Policy identifiers: "
        f'\'[{{"policyAssignment":{{"name":"{policy}"}}}}]\'.'
    )
    extra = {"target": name, "additionalInfo": [{"type": "PolicyViolation", "info": {"name": policy}}]}
    return ArmError(403, "RequestDisallowedByPolicy", message, extra=extra)


def not_registered(namespace: str) -> ArmError:
    message = (
        f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found "
        "for how to register subscriptions."
    )
    return ArmError(409, "MissingSubscriptionRegistration", message)


def throttled(group: str, retry_after: int) -> ArmError:
    """The same code as a stopped VM; only the details and the status tell them apart."""
    message = "The server rejected the request because too many requests have been received for this subscription."
    details = {"code": "TooManyRequests", "target": group, "message": f'{{"operationGroup":"{group}"}}'}
    extra = {"details": [details], "innererror": {"internalErrorCode": "TooManyRequestsReceived"}}
    headers = {"Retry-After": str(retry_after)}
    return ArmError(429, "OperationNotAllowed", message, extra=extra, headers=headers)
