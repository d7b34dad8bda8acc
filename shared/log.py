"""Structured logs: one JSON line per message handled, context bound at the edge, no personal data."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(*, service: str, level: str = "INFO") -> None:
    """Send structlog and the standard library's loggers (uvicorn, nats) to stdout as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.contextvars.bind_contextvars(service=service)


def aside() -> None:
    """Send log lines to stderr: for commands whose stdout is their result."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger bound to a module's name."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return bound
