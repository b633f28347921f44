"""What storage keeps, and the transaction that changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event as StopFlag
from types import TracebackType
from typing import Protocol, Self

from engine.effects import Purpose
from engine.model import Attempt, Output, Person, Place, Session, SessionStatus, Target


@dataclass(frozen=True, kw_only=True)
class EarlierResult:
    """How an attempt ended that another one followed."""

    attempt: Attempt
    output: Output
    exit_code: int | None
    duration_seconds: float | None
    reason: str
    captured: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One line about a session."""

    id: int
    status: SessionStatus
    runbook: str
    title: str
    target: str
    requester: str
    ticket: str
    waiting_step: int | None
    current_step: int | None
    created_at: datetime
    finished_at: datetime | None
    channel: str
    thread_ts: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A row of the outbox: a message that Slack must show, and what is known of it there.

    ``revision`` is wanted, ``sent_revision`` is shown; the text is rendered from the database when it is sent.
    """

    id: int
    key: str
    purpose: Purpose
    session_id: int | None
    step_number: int
    ordinal: int
    team: str
    channel: str
    user: str
    revision: int
    sent_revision: int
    ts: str
    payload: Mapping[str, str] = field(default_factory=dict)
    state: str = "ready"  #: ready, sending, sent, unknown, dead
    tries: int = 0
    not_before: datetime | None = None
    error: str = ""
    sending_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """One link of the audit chain. ``data`` never holds output or secrets."""

    seq: int
    at: datetime
    kind: str
    session_id: int | None
    step_number: int | None
    actor: str
    source: str
    data: Mapping[str, object]
    previous: str
    hash: str


class Sessions(Protocol):
    def add(self, session: Session, *, request_key: str) -> Session:
        """Store a new session and return it with its id; ``Conflict`` if the request key was used before."""

    def get(self, session_id: int) -> Session | None:
        """Load one session with its steps, newest gates, decisions and newest attempts; without outputs."""

    def by_request(self, request_key: str) -> int | None:
        """Return the id of the session that this request key started."""

    def by_gate(self, gate_id: str) -> int | None:
        """Return the id of the session that a gate belongs to."""

    def by_attempt(self, attempt_id: str) -> int | None:
        """Return the id of the session that an attempt belongs to."""

    def save(self, session: Session, *, was: Session) -> None:
        """Write what differs between ``was`` and ``session`` by compare-and-set on ``was.version``.

        ``Conflict`` when somebody else wrote first; ``TargetBusy`` when another attempt holds the machine.
        """

    def output(self, session_id: int, step_number: int) -> Output:
        """Return the stored output of the newest attempt of a step."""

    def earlier(self, session_id: int, step_number: int, number: int) -> EarlierResult | None:
        """Return how an attempt ended that another one followed; None while it is the newest."""

    def store_output(self, session_id: int, step_number: int, output: Output) -> None:
        """Keep the output of a step's newest attempt."""

    def recent(
        self,
        *,
        status: SessionStatus | None = None,
        ticket: str = "",
        requester: Person | None = None,
        limit: int = 20,
        before: int | None = None,
        active: bool = False,
    ) -> tuple[Summary, ...]:
        """Return the newest sessions, newest first; ``before`` is an id for paging."""

    def counts(self) -> Mapping[str, int]:
        """Return how many sessions that are not over are in each status."""

    def waiting(self, *, limit: int = 50, after: int = 0) -> tuple[Session, ...]:
        """Return sessions with an open gate, oldest first; ``after`` is a session id for paging."""

    def queue_for(self, target_id: str) -> tuple[int, ...]:
        """Return the sessions that hold or wait for a machine: the holder first, then in order of waiting."""

    def last_run(self, runbook: str, target_id: str, before: int) -> Summary | None:
        """Return the newest finished session of this runbook on this machine before a session id."""


class Attempts(Protocol):
    """What the world still has to be asked about attempts, apart from the session they belong to."""

    def get(self, attempt_id: str) -> tuple[Attempt, Target] | None:
        """Return an attempt and its machine."""

    def look_again(self, attempt_id: str, *, at: datetime) -> None:
        """Note when the attempt is to be observed next."""

    def take_over(self, attempt_id: str, *, now: datetime) -> bool:
        """Become the owner of an attempt that may have been sent, if nobody else can still be sending it.

        False while its sender lives and has not asked for a look-up, or when it is not ``submitting`` any more.
        """

    def checks(self, attempt_id: str) -> int:
        """Return how often the attempt was observed."""

    def cleaned(self, attempt_id: str, *, at: datetime) -> None:
        """Note that nothing of the attempt is left in the outside system."""

    def clean_later(self, attempt_id: str, *, at: datetime) -> None:
        """Note when to try the clean-up again."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Where a person waits for an answer: a thread, and Slack's short-lived address for the answer, if any."""

    thread_ts: str = ""
    response_url: str = ""


class Outbox(Protocol):
    """Messages to be shown. Each has a lasting key; wanting it again raises its revision."""

    def show(self, session: Session, purpose: Purpose, *, step_number: int = 0, ordinal: int = 0) -> None:
        """Want a session's message brought up to date; does nothing for a session without a place."""

    def tell(self, place: Place, person: Person, text: str, *, key: str, reply: Reply) -> None:
        """Want one sentence shown to one person; the same key tells once."""

    def publish_home(self, person: Person, *, force: bool = False) -> None:
        """Want a person's App Home redrawn; without ``force`` only if they have opened it before."""

    def message(self, session_id: int, purpose: Purpose, *, step_number: int = 0, ordinal: int = 0) -> Message | None:
        """Return one message of a session."""

    def claim(self, *, now: datetime, limit: int) -> tuple[Message, ...]:
        """Take due messages for sending: at most one per thread and per person, in order of wanting.

        A message waits while an earlier one of its thread was never sent; a thread's messages wait for its root.
        """

    def holds(self, message: Message) -> bool:
        """Say whether a claim is still ours: a process that was held up may have been thought dead."""

    def orphan(self) -> None:
        """Take back every message that is being sent: whoever sent it is gone, so it is looked up first."""

    def sent(self, message: Message, *, ts: str, now: datetime) -> None:
        """Note that the message's claimed revision is shown; a newer wanted revision makes it due again."""

    def postpone(self, message: Message, *, until: datetime, error: str, unknown: bool = False) -> None:
        """Try again later; ``unknown`` when it may have been posted, so that it is looked up first."""

    def give_up(self, message: Message, *, error: str) -> None:
        """Park a message that can never be delivered, with the reason."""

    def stats(self) -> Mapping[str, int]:
        """Return how many messages are in each state."""


class Audit(Protocol):
    def append(
        self,
        kind: str,
        *,
        at: datetime,
        session_id: int | None = None,
        step_number: int | None = None,
        actor: str = "system",
        source: str = "system",
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Add one record to the hash chain, inside this transaction."""

    def records(self, *, session_id: int | None = None, after: int = 0, limit: int = 1000) -> tuple[AuditRecord, ...]:
        """Return records in order."""


@dataclass(frozen=True, kw_only=True)
class InboxItem:
    """A request that was acknowledged and is yet to be carried out."""

    key: str
    kind: str
    payload: Mapping[str, str]
    received_at: datetime


class Inbox(Protocol):
    def accept(self, key: str, kind: str, payload: Mapping[str, str], *, at: datetime, done: bool) -> bool:
        """Store a delivery; False when this key was seen before, and then nothing is stored."""

    def get(self, key: str) -> InboxItem | None:
        """Return a stored request that is not done."""

    def done(self, key: str, *, at: datetime, answer: str = "") -> None:
        """Note that a request was carried out or refused; an answer that was noted stays."""

    def answer(self, key: str) -> str:
        """Return what was noted; empty when nothing was."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A hint that a row has work: a task name and the row's id, nothing else. Rows are the truth."""

    task: str
    id: str
    not_before: datetime | None = None


class UnitOfWork(Protocol):
    """One transaction. Leaving the block without ``commit`` undoes everything, deferred jobs included."""

    sessions: Sessions
    attempts: Attempts
    outbox: Outbox
    audit: Audit
    inbox: Inbox

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def commit(self) -> None:
        """Make everything durable, then wake the queue."""

    def defer(self, task: str, row_id: str, *, not_before: datetime | None = None) -> None:
        """Ask for work on a row once this transaction has committed."""

    def due(self, *, now: datetime, limit: int = 200) -> tuple[Job, ...]:
        """Return the work that the rows themselves say is due: what a lost queue would have to hold."""

    def next_due(self, *, now: datetime) -> datetime | None:
        """Return when the next row becomes due after now."""

    def set_setting(self, name: str, value: str) -> None:
        """Keep one small fact about this installation."""

    def setting(self, name: str) -> str | None:
        """Return such a fact."""


UnitOfWorkFactory = Callable[[], UnitOfWork]


class WorkQueue(Protocol):
    """Carries jobs to workers. Losing all of its content must lose nothing."""

    def defer(self, tx: object, task: str, row_id: str, not_before: datetime | None = None) -> None:
        """Add a job inside the caller's transaction."""

    def after_commit(self, tx: object) -> None:
        """Wake workers for what that transaction deferred."""

    def run(self, handlers: Mapping[str, Callable[[str], None]], stop: StopFlag) -> None:
        """Carry jobs to handlers until ``stop`` is set; then finish what runs and return."""
