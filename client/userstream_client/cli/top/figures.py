"""What two readings of a server's metrics say about it, as lines of text."""

from collections.abc import Sequence
from datetime import timedelta

from userstream_client.cli.top.exposition import Reading

__all__ = ["lines_of"]

_ACTIVE = "userstream_calls_active"
_ERRORS = "userstream_call_errors_total"
_QUERIES = "userstream_query_duration_seconds"
_SERVICE = "userstream.v1.UserService"
_HEADINGS = ("active", "calls", "calls/s", "users/s", "MB/s", "errors")
_METHOD_CELLS = 18
_CELLS = 10


class _Server:
    """All processes of a server together.

    Args:
        now: A reading of each process.
        growth: How much each has grown since the one before.
        seconds: How long that took.
    """

    def __init__(self, now: Sequence[Reading], growth: Sequence[Reading], seconds: float) -> None:
        self.now = now
        self._growth = growth
        self._seconds = seconds

    def total(self, name: str, **labels: str) -> float:
        """Return a metric's present sum."""
        return sum(reading.total(name, **labels) for reading in self.now)

    def count(self, name: str, **labels: str) -> str:
        """Return a metric's present sum in words."""
        return f"{self.total(name, **labels):,.0f}"

    def rate(self, name: str, **labels: str) -> float:
        """Return how much a metric grows in a second."""
        return sum(reading.total(name, **labels) for reading in self._growth) / self._seconds

    def values_of(self, name: str, label: str) -> list[str]:
        """Return the values of a label in any process."""
        found = [value for reading in self.now for value in reading.values_of(name, label)]
        return list(dict.fromkeys(found))


def lines_of(
    now: Sequence[Reading], before: Sequence[Reading], seconds: float, time: float
) -> list[str]:
    """Return what to show of a server, in lines of at most 80 columns.

    Args:
        now: A reading of each of its processes.
        before: The readings before, in the same order.
        seconds: The time between them.
        time: The present, in seconds since 1970.
    """
    growth = [late.growth(early) for late, early in zip(now, before, strict=True)]
    server = _Server(now, growth, max(seconds, 1e-6))
    return [
        _about(server, time),
        _resources(server),
        _pool(server),
        _queries(server),
        _stalls(server),
        "",
        *_calls(server),
        *_errors(server),
    ]


def _about(server: _Server, time: float) -> str:
    version, engine = (
        "/".join(server.values_of("userstream_build_info", label))
        for label in ("version", "engine")
    )
    serving = server.total("userstream_serving") == len(server.now)
    oldest = min(reading.total("process_start_time_seconds") for reading in server.now)
    up = timedelta(seconds=max(0, round(time - oldest)))
    state = "SERVING" if serving else "NOT_SERVING"
    return f"userstream-server {version}, {engine}, {state}, up {up}"


def _resources(server: _Server) -> str:
    cores = server.rate("process_cpu_seconds_total")
    memory = server.total("process_resident_memory_bytes") / 2**20
    processes = "1 process" if len(server.now) == 1 else f"{len(server.now)} processes"
    return f"{'load':10}{processes}, CPU {cores:.0%} of a core, memory {memory:,.0f} MiB"


def _pool(server: _Server) -> str:
    return (
        f"{'pool':10}{server.count('userstream_pool_in_use')} of {server.count('userstream_pool_size')} connections in"
        f" use, {server.count('userstream_pool_waiting')} queries of"
        f" {server.count('userstream_pool_callers_waiting')} callers wait"
    )


def _queries(server: _Server) -> str:
    rate = server.rate(f"{_QUERIES}_count")
    mean = server.rate(f"{_QUERIES}_sum") / rate if rate else 0.0
    killed = server.count("userstream_queries_killed_total")
    return f"{'queries':10}{rate:,.1f}/s, {mean * 1000:,.1f} ms on average, {killed} killed"


def _stalls(server: _Server) -> str:
    return (
        f"{'stalls':10}{server.count('userstream_calls_stalled')} calls stalled now,"
        f" {server.count('userstream_stalls_cancelled_total')} ended for it,"
        f" {server.count('userstream_streams_resumed_total')} resumed"
    )


def _calls(server: _Server) -> list[str]:
    methods = sorted(server.values_of(_ACTIVE, "method"))
    rows = [_row("method", _HEADINGS), *(_method_row(server, method) for method in methods)]
    return [*rows, _method_row(server, None)]


def _method_row(server: _Server, method: str | None) -> str:
    ours = {"method": method} if method else {}
    theirs = {"grpc_method": f"{_SERVICE}/{method}"} if method else {}
    started = "grpc_server_call_started_total"
    figures = (
        server.count(_ACTIVE, **ours),
        server.count(started, **theirs),
        f"{server.rate(started, **theirs):,.1f}",
        f"{server.rate('userstream_rows_total', **ours):,.0f}",
        f"{server.rate('userstream_payload_bytes_total', **ours) / 1e6:,.1f}",
        server.count(_ERRORS, **ours),
    )
    return _row(method or "all", figures)


def _row(name: str, figures: Sequence[str]) -> str:
    return f"{name:<{_METHOD_CELLS}}" + "".join(f"{figure:>{_CELLS}}" for figure in figures)


def _errors(server: _Server) -> list[str]:
    counted = {
        reason: server.total(_ERRORS, reason=reason)
        for reason in server.values_of(_ERRORS, "reason")
    }
    found = sorted(((count, reason) for reason, count in counted.items() if count), reverse=True)
    return ["", *(f"{count:>9,.0f}  {reason}" for count, reason in found[:8])] if found else []
