"""The protocols between the core and the world, each method with its contract. No implementation here.

Connectors, storage and the bot implement these; ``bot.bootstrap`` puts them together.
"""

from engine.ports.machines import (
    CancelAnswer,
    Capabilities,
    Check,
    Command,
    Connector,
    Handle,
    Level,
    Observation,
    RawResult,
)
from engine.ports.memory import (
    Attempts,
    Audit,
    AuditRecord,
    EarlierResult,
    Inbox,
    InboxItem,
    Job,
    Message,
    Outbox,
    Reply,
    Sessions,
    Summary,
    UnitOfWork,
    UnitOfWorkFactory,
    WorkQueue,
)
from engine.ports.world import (
    Catalog,
    Clock,
    Directory,
    Ids,
)

__all__ = [
    "Attempts",
    "Audit",
    "AuditRecord",
    "CancelAnswer",
    "Capabilities",
    "Catalog",
    "Check",
    "Clock",
    "Command",
    "Connector",
    "Directory",
    "EarlierResult",
    "Handle",
    "Ids",
    "Inbox",
    "InboxItem",
    "Job",
    "Level",
    "Message",
    "Observation",
    "Outbox",
    "RawResult",
    "Reply",
    "Sessions",
    "Summary",
    "UnitOfWork",
    "UnitOfWorkFactory",
    "WorkQueue",
]
