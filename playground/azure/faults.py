"""Faults of the wire: what can go wrong between a client and the cloud, chosen per request while it runs.

A fault says whether the work was done; the ledger keeps both that and what the client saw. One per request.
"""

import threading
from dataclasses import dataclass
from typing import Literal

Kind = Literal["answer", "reset", "hang", "half", "garbage", "slow", "invisible"]
FOREVER = 3600.0


@dataclass(kw_only=True)
class Fault:
    """`after_work=False` leaves the cloud untouched; `times=None` means until cleared; `seconds` are real."""

    kind: Kind
    method: str | None = None
    path_contains: str = ""
    where: Literal["arm", "identity"] = "arm"
    times: int | None = 1
    skip: int = 0
    after_work: bool = False
    status: int = 500
    code: str = "InternalServerError"
    message: str = "The server encountered an internal error."
    retry_after: int | None = None
    seconds: float = 0.0
    used: int = 0

    def fits(self, where: str, method: str, path: str) -> bool:
        same = self.where == where and self.method in {None, method}
        return same and self.path_contains.lower() in path.lower()


class Faults:
    """Armed faults in order; the first that fits a request is used. Safe to change from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self.clock_skew = 0.0

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._armed.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()
            self.clock_skew = 0.0

    def take(self, where: str, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._armed:
                if fault.fits(where, method, path) and self._use(fault):
                    return fault
        return None

    @staticmethod
    def _use(fault: Fault) -> bool:
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if fault.times is not None and fault.used >= fault.times:
            return False
        fault.used += 1
        return True

    def lose_response(self, method: str, path_contains: str = "", *, times: int | None = 1) -> Fault:
        """The work is done, the connection is reset before the answer."""
        return self.add(Fault(kind="reset", method=method, path_contains=path_contains, after_work=True, times=times))

    def reset(self, method: str, path_contains: str = "", *, times: int | None = 1) -> Fault:
        """The connection is reset before any work."""
        return self.add(Fault(kind="reset", method=method, path_contains=path_contains, times=times))

    def answer(
        self, status: int, method: str | None = None, path_contains: str = "", *, times: int | None = 1
    ) -> Fault:
        """An error answer with the service's usual code for that status, and no work done."""
        code, message = _USUAL.get(status, _USUAL[500])
        return self.add(
            Fault(
                kind="answer",
                method=method,
                path_contains=path_contains,
                times=times,
                status=status,
                code=code,
                message=message,
            )
        )

    def hide_after_accept(self, seconds: float, path_contains: str = "") -> Fault:
        """A run command is accepted, but reads say 404 for some platform seconds."""
        return self.add(Fault(kind="invisible", method="PUT", path_contains=path_contains, seconds=seconds))

    def refuse_tokens(self, status: int = 500, *, times: int | None = 1) -> Fault:
        """The identity endpoint fails."""
        return self.add(Fault(kind="answer", where="identity", status=status, times=times))


_USUAL = {
    408: ("RequestTimeout", "The request timed out."),
    409: ("Conflict", "The request failed due to conflict with a concurrent request."),
    429: ("SubscriptionRequestsThrottled", "Number of requests for subscription exceeded the limit."),
    500: ("InternalServerError", "The server encountered an internal error."),
    502: ("BadGateway", "The gateway did not receive a response from the service."),
    503: ("ServiceUnavailable", "The service is unavailable."),
    504: ("GatewayTimeout", "The gateway did not receive a response within the specified time period."),
}
