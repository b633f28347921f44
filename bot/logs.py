"""Structured logs: JSON when not at a terminal, constant event names, data in fields, no secrets.

Every record of ours and of the libraries below goes through the same redaction.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from engine.output import redact

Record = MutableMapping[str, Any]

#: Loggers that would print request bodies, signatures or tokens, or that repeat what ours say.
MUTED = (
    "slack_bolt",
    "slack_sdk",
    "azure.core.pipeline.policies.http_logging_policy",
    "azure.identity",
    "alembic",
    "apscheduler",
    "procrastinate",
    "uvicorn.error",
    "uvicorn.access",
)
MACHINERY = ("_record", "_from_structlog")  #: of structlog; removed before rendering
_SHAPES = re.compile(
    r"xox[a-z]-[A-Za-z0-9-]{6,}|xapp-[A-Za-z0-9-]{6,}|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|https?://[^\s\"']*(?:/commands/|/actions/)[^\s\"']+"
)
#: all but tab and line feed, and what turns or hides text
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def configure(*, level: str, secrets: tuple[str, ...] = (), stream: Any = None) -> None:
    """Set logging up for the whole process. ``secrets`` are values that must never appear."""
    out = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redactor(secrets),
    ]
    render: Any = structlog.dev.ConsoleRenderer() if out.isatty() else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in MUTED:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def redactor(secrets: tuple[str, ...]) -> Callable[[Any, str, Record], Record]:
    """Return a processor that removes known secrets, token shapes and control characters from every text.

    What is neither text nor a number is logged as its ``repr``, and that is text like any other.
    """

    def text(value: str) -> str:
        for secret in filter(None, secrets):
            value = value.replace(secret, "[redacted]")
        return _CONTROLS.sub("?", _SHAPES.sub("[redacted]", redact(value, secrets)))

    def deep(value: object) -> object:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {text(str(key)): deep(part) for key, part in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [deep(part) for part in value]
        return text(value if isinstance(value, str) else repr(value))

    def process(_logger: object, _method: str, record: Record) -> Record:
        return {key: value if key in MACHINERY else deep(value) for key, value in record.items()}

    return process


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose first argument is a constant event name and whose data are keywords."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
