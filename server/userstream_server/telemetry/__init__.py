"""Metrics and traces: made only where a setting asks for them, and imported only then."""

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
    """Have telemetry ready for the block, which must hold the gRPC server from its making to its end.

    Args:
        settings: Say whether and where.
        database: Whose pool and kills are told.
        worker: This process's number among several.

    Yields:
        None when nothing is asked for.

    Raises:
        OSError: The port for metrics is taken.
    """
    if not settings.metrics_listen and not settings.otlp_endpoint:
        yield None
        return
    # A third of a second and 20 MB, for those who want it.
    from userstream_server.telemetry.telemetry import Telemetry  # noqa: PLC0415

    with ExitStack() as stack:
        yield Telemetry(settings, database, stack, worker=worker)
