"""Everything that can go wrong, as one tree. A class is recognised by its type or ``code``, never by its text.

* RunbookError                 base: code, message, hint
  x Refused                    the person can do something about it: shown to them, logged at info
    + InvalidInput             bad parameter, malformed command, malformed runbook or policy
    + NotFound                 no such runbook, session, step or VM
    + NotAllowed               policy: not an approver, own request, wrong workspace
      - Unverifiable           whether the person may could not be checked now
    + Conflict                 already decided, gate closed, plan changed, stale version
      - TargetBusy             another attempt holds the machine
      - Stale                  somebody else wrote first; look again
    + Expired                  the gate's deadline has passed
    + Precondition             the VM is stopped, its agent is not ready, a right is missing
  x ConnectorError             the outside world: handled by the worker, never by a listener
    + Transient                throttled, or refused for a time; certainly nothing happened
    + Permanent                refused for good: missing role, wrong target
    + Indeterminate            not known whether it happened: look it up, never blindly repeat
  x DeliveryError              a message could not be delivered (see ``engine.ports.Notifier``)
  x StorageUnavailable         the database cannot be used now; nothing was changed
  x Misconfigured              refuse to start: names the setting, its meaning and the cure
  x Bug                        an invariant broke: not caught, alarms

The docstring of a class is its default message. This module must never import anything of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar


class RunbookError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, *, hint: str = "") -> None:
        """Take a sentence for people and, in ``hint``, what to do next."""
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class Refused(RunbookError):
    """This cannot be done as asked."""

    code = "refused"

    def to_text(self) -> str:
        """Return the refusal in a form that can be kept, to be given once more."""
        return json.dumps([self.code, self.message, self.hint])

    @classmethod
    def from_text(cls, text: str) -> Refused:
        """Make a kept refusal again; of a kind that is not known any more, only the words are left."""
        code, message, hint = json.loads(text)
        kinds = {
            kind.code: kind for kind in _with_descendants(cls) if "code" in vars(kind)
        }  # an heir is made otherwise
        return kinds.get(code, cls)(message, hint=hint)


class InvalidInput(Refused):
    """The input is not valid."""

    code = "invalid_input"


class NotFound(Refused):
    """There is no such thing."""

    code = "not_found"


class NotAllowed(Refused):
    """The policy does not allow this."""

    code = "not_allowed"


class Unverifiable(NotAllowed):
    """Whether you may do this could not be checked just now."""

    code = "unverifiable"


class Conflict(Refused):
    """Something else was decided or changed first."""

    code = "conflict"


class TargetBusy(Conflict):
    """Another session is running a command on this machine."""

    code = "target_busy"


class Stale(Conflict):
    """Somebody else changed this session first."""

    code = "stale"


class Expired(Refused):
    """The deadline of this approval has passed."""

    code = "expired"


class Precondition(Refused):
    """The target is not ready for this."""

    code = "precondition"


class ConnectorError(RunbookError):
    """The machine could not be reached as needed."""

    code = "connector_error"

    def __init__(self, message: str | None = None, *, hint: str = "", request_id: str = "") -> None:
        """``request_id`` is the outside system's own id of the failed request, for its support."""
        super().__init__(message, hint=hint)
        self.request_id = request_id


class Transient(ConnectorError):
    """The other side asked for patience; nothing was started."""

    code = "transient"

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        """``retry_after`` is in seconds, when the other side named it."""
        super().__init__(message, hint=hint, request_id=request_id)
        self.retry_after = retry_after


class Permanent(ConnectorError):
    """The other side refused; nothing was started."""

    code = "permanent"


class Indeterminate(ConnectorError):
    """It is not known whether this happened."""

    code = "indeterminate"


class DeliveryError(RunbookError):
    """The message could not be delivered."""

    code = "delivery_error"


class StorageUnavailable(RunbookError):
    """The database cannot be used at the moment; nothing was changed."""

    code = "storage_unavailable"


class Misconfigured(RunbookError):
    """The configuration is not usable."""

    code = "misconfigured"


class Bug(RunbookError):
    """An invariant of Runbook Bot is broken; please report this."""

    code = "bug"


def _with_descendants(kind: type[Refused]) -> Iterator[type[Refused]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _with_descendants(child)
