"""Structured logs on standard error: JSON for machines, text for people."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

__all__ = ["configure_logs"]


def configure_logs(*, level: str, form: str, worker: int | None = None) -> None:
    """Set up structlog.

    Args:
        level: The least level worth a line.
        form: `json` or `console`.
        worker: This process's number among several, for every line.
    """
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *([] if worker is None else [_adding("worker", worker)]),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # gRPC logs through logging, with what a peer sent; only that something happened is ours to say.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)


def _adding(key: str, value: object) -> structlog.types.Processor:
    """Return a processor that puts one value on every line."""

    def add(
        _logger: object, _name: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event[key] = value
        return event

    return add
