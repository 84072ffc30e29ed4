"""The service's own metrics. docs/observability.md lists them and explains each.

Names are OpenTelemetry's; Prometheus shows `userstream.rows` as `userstream_rows_total`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from userstream_server.databases.database import Database
from userstream_server.databases.pool_state import PoolState, WaitsState
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
            ("streams.resumed", "{stream}", "Streams that resumed from a token.", "resumed"),
        ):
            read = _by("method", lambda counted=counted: calls.total(counted))  # type: ignore[misc]
            counter(f"userstream.{name}", [read], unit, description)
        self._gauge("calls.active", _by("method", calls.active), "Calls that run just now.")

    def watch_database(self, database: Database) -> None:
        """Report a database's pool, kills and driver."""
        driver = database.driver
        self._watch_pool(database.pool)
        self._watch_hosts(database)
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

    def _watch_hosts(self, database: Database) -> None:
        def up() -> Mapping[str, float]:
            return {host.name: int(host.is_good) for host in database.hosts()}

        def lags() -> Mapping[str, float]:
            hosts = database.hosts()
            return {host.name: host.lag_seconds for host in hosts if host.lag_seconds is not None}

        self._gauge(
            "database.host.up", _by("host", up), "1 while this host is fit to be read, else 0."
        )
        self._gauge(
            "database.host.lag",
            _by("host", lags),
            "How far this replica is behind its source.",
            unit="s",
        )

    def _watch_pool(self, pool: PoolState) -> None:
        for name, read, description in (
            ("size", lambda: pool.size, "The most connections."),
            ("in_use", lambda: pool.in_use, "Connections handed out."),
            ("waiting", lambda: pool.waiting, "Queries that wait for a connection."),
            ("callers_waiting", lambda: pool.callers_waiting, "Callers of these queries."),
        ):
            self._gauge(f"pool.{name}", _one(read), description)
        in_use, waiting = _by("class", pool.in_use_by_class), _by("class", pool.waiting_by_class)
        self._gauge("pool.class.in_use", in_use, "Connections handed out, by class of query.")
        self._gauge("pool.class.waiting", waiting, "Queries that wait, by class.")
        waits = pool.waits
        self._counter("pool.waits", _waits(waits), "Waits that ended, by class and outcome.")
        seconds = _by("class", waits.seconds)
        self._counter("pool.wait", seconds, "Time that queries waited, by class.", unit="s")

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

    def _gauge(self, name: str, read: Callback, description: str, unit: str = "") -> None:
        self._meter.create_observable_gauge(f"userstream.{name}", [read], unit, description)

    def _counter(self, name: str, read: Callback, description: str, unit: str = "") -> None:
        self._meter.create_observable_counter(f"userstream.{name}", [read], unit, description)


def _one(read: Callable[[], int]) -> Callback:
    return lambda _: [Observation(read())]


def _by(label: str, read: Callable[[], Mapping[str, float]]) -> Callback:
    return lambda _: [Observation(number, {label: name}) for name, number in read().items()]


def _waits(waits: WaitsState) -> Callback:
    return lambda _: [
        Observation(count, {"class": kind, "outcome": outcome})
        for (kind, outcome), count in waits.count().items()
    ]
