"""The service's own metrics. docs/observability.md lists them and explains each.

Names are OpenTelemetry's; Prometheus shows `userstream.rows` as `userstream_rows_total`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from userstream_server.databases.database import Database
from userstream_server.telemetry.calls import METHODS, RunningCalls
from userstream_server.version import VERSION

__all__ = ["Metrics", "ServingState", "StallState"]

_QUERY_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0
)  # fmt: skip
Callback = Callable[[CallbackOptions], Iterable[Observation]]


class ServingState(Protocol):
    """What the metrics need from the server's health."""

    @property
    def serving(self) -> bool:
        """Whether health says SERVING."""


class StallState(Protocol):
    """What the metrics need from the watch on stalled consumers."""

    @property
    def stalled(self) -> int:
        """How many calls have a stalled consumer now."""

    @property
    def cancelled(self) -> int:
        """How many calls were cancelled because of it so far."""


class Metrics:
    """The instruments of the service's own metrics.

    Args:
        meter: Creates the instruments.
        calls: The calls to report.

    Attributes:
        query_seconds: Records the duration of each query, in seconds.
        errors: Counts calls that ended with an error.
    """

    def __init__(self, meter: Meter, calls: RunningCalls) -> None:
        self._meter = meter
        self.query_seconds = meter.create_histogram(
            "userstream.query.duration",
            "s",
            "Time of one query to the database, with its wait for a connection and the reading of its rows.",
            explicit_bucket_boundaries_advisory=_QUERY_SECONDS,
        )
        self.errors = meter.create_counter(
            "userstream.call.errors", "{call}", "Calls that ended with an error, by its reason."
        )
        # A rate misses the first error of a series that starts with it, so these series start at 0.
        for method in METHODS:
            for reason in ("INTERNAL", "DATABASE_ERROR"):
                self.errors.add(0, {"method": method, "reason": reason})
        counter = meter.create_observable_counter
        for name, unit, description, counted in (
            ("rows", "{row}", "Users sent, or counted for an average.", "rows"),
            ("messages", "{message}", "Messages sent.", "messages"),
            ("payload", "By", "Bytes of messages sent, before HTTP/2.", "payload_bytes"),
            ("streams.resumed", "{stream}", "Streams that went on from a token.", "resumed"),
        ):
            read = _by_method(lambda counted=counted: calls.total(counted))  # type: ignore[misc]
            counter(f"userstream.{name}", [read], unit, description)
        self._gauge("calls.active", _by_method(calls.active), "Calls that run just now.")

    def watch_database(self, database: Database) -> None:
        """Report a database's pool, kills and driver."""
        pool, driver = database.pool, database.driver
        self._gauge("pool.size", _one(lambda: pool.size), "The most connections.")
        self._gauge("pool.in_use", _one(lambda: pool.in_use), "Connections handed out.")
        self._gauge("pool.waiting", _one(lambda: pool.waiting), "Queries without a connection yet.")
        self._counter(
            "queries.killed",
            _one(lambda: database.queries_killed),
            "Queries ended at the database because their call had ended.",
        )
        labels = {
            "version": VERSION,
            "engine": driver.engine,
            "driver": driver.name,
            "driver_version": driver.version,
            "driver_kind": driver.kind,
            "encoder": driver.encoder,
        }
        self._gauge("build.info", lambda _: [Observation(1, labels)], "What runs here; always 1.")

    def watch_server(self, health: ServingState, stalls: StallState) -> None:
        """Report a server's health and stalled calls."""
        self._gauge("serving", _one(lambda: int(health.serving)), "1 while health says SERVING.")
        self._gauge(
            "calls.stalled",
            _one(lambda: stalls.stalled),
            "Calls whose consumer has stopped reading.",
        )
        self._counter(
            "stalls.cancelled",
            _one(lambda: stalls.cancelled),
            "Calls cancelled because their consumer did not read for too long.",
        )

    def _gauge(self, name: str, read: Callback, description: str) -> None:
        self._meter.create_observable_gauge(f"userstream.{name}", [read], "", description)

    def _counter(self, name: str, read: Callback, description: str) -> None:
        self._meter.create_observable_counter(f"userstream.{name}", [read], "", description)


def _one(read: Callable[[], int]) -> Callback:
    return lambda _: [Observation(read())]


def _by_method(read: Callable[[], Mapping[str, int]]) -> Callback:
    return lambda _: [Observation(number, {"method": name}) for name, number in read().items()]
