"""Which interceptors surround every call, and in which order."""

from typing import TYPE_CHECKING

from userstream_server.auth.access import Access
from userstream_server.auth.certificate_names import ClientNames
from userstream_server.interceptors.authentication import AuthenticationInterceptor
from userstream_server.interceptors.base import CallInterceptor
from userstream_server.interceptors.cancelled import CancelledInterceptor
from userstream_server.interceptors.certificate_names import CertificateNameInterceptor
from userstream_server.interceptors.compression import CompressionInterceptor
from userstream_server.interceptors.concurrency import ConcurrencyInterceptor
from userstream_server.interceptors.draining import DrainInterceptor
from userstream_server.interceptors.logging import LoggingInterceptor
from userstream_server.interceptors.metadata import MetadataInterceptor
from userstream_server.interceptors.stalls import StallInterceptor
from userstream_server.interceptors.status import StatusInterceptor
from userstream_server.settings import ServerSettings

if TYPE_CHECKING:
    from userstream_server.telemetry.telemetry import Telemetry

__all__ = ["call_interceptors"]


def call_interceptors(
    settings: ServerSettings,
    access: Access,
    telemetry: "Telemetry | None",
    drain: DrainInterceptor,
    stalls: StallInterceptor,
) -> list[CallInterceptor]:
    """Return the interceptors of every call, outermost first."""
    order = [
        CancelledInterceptor(),  # a call that is over already costs nothing more
        LoggingInterceptor(),  # logs every other call, with its final status
        _telemetry(telemetry),  # measures the same calls
        StatusInterceptor(),  # turns the errors of everything below into statuses
        MetadataInterceptor(settings.metadata_bytes_max),  # before anything reads the metadata
        _certificate_names(access),  # a certificate says who calls, rather than a token
        _authentication(access),
        CompressionInterceptor(allowed=settings.compression_allowed),
        _concurrency(settings),  # counts admitted callers only
        drain,  # inside the status, which it gives to calls that outlast the drain
        stalls,  # closest to the handler: it times each message
    ]
    return [interceptor for interceptor in order if interceptor is not None]


def _telemetry(telemetry: "Telemetry | None") -> CallInterceptor | None:
    if telemetry is None:
        return None
    # Imported late: only those who turn telemetry on need OpenTelemetry.
    from userstream_server.interceptors.telemetry import TelemetryInterceptor  # noqa: PLC0415

    return TelemetryInterceptor(
        telemetry.calls, telemetry.metrics, telemetry.grpc_metrics, telemetry.tracer
    )


def _certificate_names(access: Access) -> CallInterceptor | None:
    if access.client_names is None:
        return None
    return CertificateNameInterceptor(lambda: access.client_names or ClientNames())


def _authentication(access: Access) -> CallInterceptor | None:
    return AuthenticationInterceptor(access.tokens) if access.tokens else None


def _concurrency(settings: ServerSettings) -> CallInterceptor:
    return ConcurrencyInterceptor(
        settings.streams_max,
        per_caller_max=settings.streams_per_caller_max,
        waiting_max=settings.calls_waiting_max,
        wait_seconds=settings.call_wait_seconds,
    )
