"""Compressed responses: the bytes that gzip saves, the CPU time that it costs, and on which links it pays."""

from collections.abc import Callable

from userstream_testing.fault_proxy import FaultProxy

from benchmarks import report
from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, alternate, measure_call

__all__ = ["run"]

_MEASURED_USERS = 100_000
_GOAL_SHARE = 0.5
_CALLS = {
    "StreamUsers": Request(),
    "BatchUsers(1000)": Request("batch", 1000),
    "StreamUsers, ids and ages": Request(fields="user_id,age"),
}
_GZIP = ", gzip"
_HEAD = ("call", "bytes/user", "users/s", "server CPU s/M", "client CPU s/M")
_PAYS_HEAD = ("call", "bytes with gzip", "goal", "", "pays on links below")


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Stream the same table with and without compression, in turn."""
    table = arena.mysql.table(rows)
    server = arena.server("userstream", table)
    requests = {
        name + ending: _with(request, kind)
        for name, request in _CALLS.items()
        for ending, kind in (("", ""), (_GZIP, "gzip"))
    }
    samples = alternate(
        {name: _streaming(arena, server, table, r) for name, r in requests.items()}, rounds
    )
    sizes = {name: _bytes_per_user(arena, server, r) for name, r in requests.items()}
    body = [
        f"{rows:,} users, {rounds} rounds; minimum, **median** and maximum. CPU seconds are for a"
        " million users; bytes are those on the wire, HTTP/2's included.",
        report.table(_HEAD, [_row(name, samples[name], sizes[name]) for name in requests]),
        report.table(_PAYS_HEAD, [_pays(name, samples, sizes) for name in _CALLS]),
        "Compression pays if a link takes longer to carry the uncompressed users than the server takes to"
        " compress them: users/s with gzip, times bytes/user without.",
    ]
    return report.Section("compression", body)


def _with(request: Request, compression: str) -> Request:
    return Request(
        request.method, request.users_per_message, fields=request.fields, compression=compression
    )


def _streaming(
    arena: Arena, server: Server, table: Table, request: Request
) -> Callable[[], Sample]:
    return lambda: measure_call(arena, server, table, request)


def _bytes_per_user(arena: Arena, server: Server, request: Request) -> float:
    """Count what passes a proxy, which is too slow to be timed as well."""
    limited = Request(
        request.method,
        request.users_per_message,
        _MEASURED_USERS,
        request.fields,
        request.compression,
    )
    with FaultProxy(int(server.target.rpartition(":")[2])) as proxy:
        (call,) = arena.client.calls(proxy.target, limited)
        return sum(proxy.passed) / call.users


def _row(name: str, runs: list[Sample], size: float) -> list[str]:
    return [
        name,
        f"{size:.1f}",
        report.spread(Spread.of([s.users_per_second for s in runs]), "{:,.0f}"),
        f"{Spread.of([s.cpu_seconds / s.users * 1e6 for s in runs]).middle:.2f}",
        f"{Spread.of([s.client_cpu_seconds / s.users * 1e6 for s in runs]).middle:.2f}",
    ]


def _pays(name: str, samples: dict[str, list[Sample]], sizes: dict[str, float]) -> list[str]:
    share = sizes[name + _GZIP] / sizes[name]
    speed = Spread.of([s.users_per_second for s in samples[name + _GZIP]]).middle
    goal = f"at most {_GOAL_SHARE:.0%}" if name == "StreamUsers" else ""
    met = ("met" if share <= _GOAL_SHARE else "**missed**") if goal else ""
    return [name, f"{share:.0%}", goal, met, f"{speed * sizes[name] * 8 / 1e6:,.0f} Mbit/s"]
