"""Structured logs on standard error: JSON for machines, text for people."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

__all__ = ["configure_logs", "set_level"]

# structlog caches loggers on first use, so the level must stand outside them: SIGHUP may change it.
_least = logging.INFO


def configure_logs(*, level: str, form: str, worker: int | None = None) -> None:
    """Set up structlog.

    Args:
        level: The lowest level to log.
        form: `json` or `console`.
        worker: This worker's number, added to every line; None without workers.
    """
    set_level(level)
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            _drop_below_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *([] if worker is None else [_adding("worker", worker)]),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        # One write for each whole line: workers share the stream, and lines must not mix.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # gRPC logs through logging and includes what a peer sent, so its lines are turned off.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)


def set_level(level: str) -> None:
    """Change the lowest level to log, also for loggers in use."""
    global _least  # noqa: PLW0603 - one process, one log
    _least = logging.getLevelNamesMapping()[level.upper()]


def _drop_below_level(
    _logger: object, name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if logging.getLevelNamesMapping().get(name.upper(), logging.ERROR) < _least:
        raise structlog.DropEvent
    return event


def _adding(key: str, value: object) -> structlog.types.Processor:
    """Return a processor that adds one value to every line."""

    def add(
        _logger: object, _name: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event[key] = value
        return event

    return add
