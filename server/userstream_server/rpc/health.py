"""Health as gRPC defines it, taken from whether the database answers.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

import threading

import grpc
import structlog
from grpc_health.v1 import health, health_pb2

from userstream_server.databases.database import Database
from userstream_server.errors import InternalError, UserStreamError
from userstream_server.version import SERVICE_NAME

__all__ = ["HealthMonitor", "HealthService"]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_log = structlog.get_logger()


class HealthService(health.HealthServicer):  # type: ignore[misc]  # has no types
    """grpc.health.v1, with List; Watch speaks only when a status has changed."""

    def __init__(self) -> None:
        """Begin without any status of our own."""
        # Non-blocking, so that callers of Watch do not hold a thread each.
        super().__init__(experimental_non_blocking=True)
        self._statuses: dict[str, int] = {}

    def set(self, service: str, status: int) -> None:
        """Set a service's status; those who watch it hear of a change only. One thread at a time."""
        if self._statuses.get(service) != status:
            self._statuses = self._statuses | {service: status}
            super().set(service, status)

    def List(  # noqa: N802 - the proto's name
        self,
        request: "health_pb2.HealthListRequest",  # noqa: ARG002 - it has no fields
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> "health_pb2.HealthListResponse":
        """Return the status of each service. The oldest grpcio-health-checking allowed does not know this call."""
        return health_pb2.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=status)
                for name, status in self._statuses.items()
            }
        )


class HealthMonitor:
    """Polls the database every few seconds and answers health checks from the result.

    Args:
        database: The database.
        poll_seconds: The time between two polls.

    Attributes:
        servicer: Answers grpc.health.v1; may be part of several servers.
        serving: Whether it answers SERVING.
    """

    def __init__(self, database: Database, *, poll_seconds: float) -> None:
        """Begin as NOT_SERVING."""
        self._database = database
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="health", daemon=True)
        self._table_fits = False
        self._logged: str | None = ""
        self.servicer = HealthService()
        self._set(_NOT_SERVING)

    def start(self) -> None:
        """Poll once, then continue in the background."""
        self._check()
        self._thread.start()

    def drain(self) -> None:
        """Answer NOT_SERVING from now on, whatever the database does, so that callers use another server."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._set(_NOT_SERVING)

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self._check()

    def _check(self) -> None:
        try:
            if self._table_fits:
                self._database.ping()
            else:
                # The first answer, which may come long after the start, also checks the table.
                self._database.check()
                self._table_fits = True
        except UserStreamError as error:
            self._set(_NOT_SERVING)
            self._log_change(error)
        except Exception:  # noqa: BLE001 - a defect here must not end the polling for good
            self._set(_NOT_SERVING)
            self._log_change(InternalError())
        else:
            self._set(_SERVING)
            self._log_change(None)

    def _set(self, status: int) -> None:
        self.serving = status == _SERVING
        for name in ("", SERVICE_NAME):
            self.servicer.set(name, status)

    def _log_change(self, error: UserStreamError | None) -> None:
        """Log changes only."""
        reason = error.reason if error else None
        if reason == self._logged:
            return
        self._logged = reason
        if error:
            _log.error("not_serving", reason=error.reason, message=error.message)
        else:
            _log.info("serving")
