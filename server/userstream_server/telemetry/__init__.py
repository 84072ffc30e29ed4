"""Metrics and traces, imported and created only if a setting turns them on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from userstream_server.databases.database import Database
from userstream_server.settings import ServerSettings

if TYPE_CHECKING:
    from userstream_server.telemetry.telemetry import Telemetry

__all__ = ["open_telemetry"]


@contextmanager
def open_telemetry(
    settings: ServerSettings, database: Database, *, worker: int | None
) -> Iterator["Telemetry | None"]:
    """Open telemetry for a `with` block that must enclose the whole life of the gRPC server.

    Args:
        settings: Say what is on, and the addresses.
        database: The database whose pool and kills are reported.
        worker: This worker's number; None without workers.

    Yields:
        The telemetry, or None if neither metrics nor traces are on.

    Raises:
        OSError: The metrics port is in use.
    """
    if not settings.metrics_listen and not settings.otlp_endpoint:
        yield None
        return
    # The import takes a third of a second and 20 MB: only those who use it pay.
    from userstream_server.telemetry.telemetry import Telemetry  # noqa: PLC0415

    with ExitStack() as stack:
        yield Telemetry(settings, database, stack, worker=worker)
