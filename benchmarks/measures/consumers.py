"""Many consumers at once, brisk ones and stalled ones, over a pool of eight connections."""

from benchmarks import report
from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Spread, measure_call

__all__ = ["run"]

_CONSUMERS = (1, 4, 16, 64)
_STALLED = 1000
_STREAMS = ("STREAMS_MAX", "STREAMS_PER_CALLER_MAX", "STREAMS_PER_CONNECTION_MAX")
_SETTINGS = {"POOL_SIZE": "8", **dict.fromkeys(_STREAMS, str(_STALLED + 100))}
_GOAL_SPEED, _GOAL_MEBIBYTES = 0.8, 300
_HEAD = ("consumers", "users/s together", "server CPU s/M", "server's memory MiB")


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Run both sweeps."""
    table = arena.mysql.table(rows)
    with arena.userstream(table, **_SETTINGS) as server:
        brisk = [_brisk_row(arena, server, table, count, rounds) for count in _CONSUMERS]
    with arena.userstream(table, **_SETTINGS) as server:
        stalled = _beside_stalled(arena, server, table, rounds)
    body = [
        f"Brisk consumers that share four times {rows:,} users, {rounds} rounds, a pool of 8"
        " connections:",
        report.table(_HEAD, brisk),
        f"{_STALLED:,} consumers that read one message and then no more, and one brisk consumer:",
        stalled,
    ]
    return report.Section("consumers", body)


def _brisk_row(arena: Arena, server: Server, table: Table, count: int, rounds: int) -> list[str]:
    request = Request(limit=min(table.rows, 4 * table.rows // count))
    server.forget_peak()
    runs = [measure_call(arena, server, table, request, parallel=count) for _ in range(rounds)]
    cpu = Spread.of([s.cpu_seconds / s.users * 1e6 for s in runs])
    return [
        f"{count}",
        report.spread(Spread.of([s.users_per_second for s in runs]), "{:,.0f}"),
        f"{cpu.middle:.2f}",
        f"{server.peak_bytes() / 2**20:.0f}",
    ]


def _beside_stalled(arena: Arena, server: Server, table: Table, rounds: int) -> str:
    alone = _speeds(arena, server, table, rounds + 1)[1:]
    with arena.client.stalled(server.target, _STALLED):
        memory = server.resident_bytes() / 2**20
        queries = _running_queries(table)
        beside = _speeds(arena, server, table, rounds)
        memory_after = server.resident_bytes() / 2**20
    # Before and after, so that a machine that slows down meanwhile is not held against the stalled.
    alone += _speeds(arena, server, table, rounds)
    kept = Spread.of(beside).middle / Spread.of(alone).middle
    rows = [
        ["alone, users/s", report.spread(Spread.of(alone), "{:,.0f}"), "", ""],
        ["beside the stalled, users/s", report.spread(Spread.of(beside), "{:,.0f}"), "", ""],
        ["speed kept", f"{kept:.2f}", f"at least {_GOAL_SPEED}", _met(kept >= _GOAL_SPEED)],
        _memory_row("server's memory beside the stalled, MiB", max(memory, memory_after)),
        ["connections the stalled hold", f"{queries}", "0", _met(queries == 0)],
    ]
    return report.table(("what", "measured", "goal", ""), rows)


def _memory_row(name: str, mebibytes: float) -> list[str]:
    goal = f"under {_GOAL_MEBIBYTES}"
    return [name, f"{mebibytes:.0f}", goal, _met(mebibytes < _GOAL_MEBIBYTES)]


def _speeds(arena: Arena, server: Server, table: Table, rounds: int) -> list[float]:
    runs = [measure_call(arena, server, table, Request()) for _ in range(rounds)]
    return [s.users_per_second for s in runs]


def _running_queries(table: Table) -> int:
    """Count the connections to the table's database that are not at rest."""
    query = (
        "SELECT COUNT(*) FROM performance_schema.processlist WHERE COMMAND <> 'Sleep'"
        f" AND DB = '{table.url.database}' AND ID <> CONNECTION_ID()"
    )
    return int(table.number(query))


def _met(goal: bool) -> str:  # noqa: FBT001 - the only argument
    return "met" if goal else "**missed**"
