"""The contest: users a second and CPU time a user, side by side."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from userstream_testing.debian_packages import PackageNotFoundError

from benchmarks import bar_chart, report
from benchmarks.arena import Arena, ServerKind
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, alternate, measure_call, ratios
from benchmarks.row_readers import c_reader, driver_reader

__all__ = ["run"]

# A server that sends fifteen thousand users a second needs no million of them to show it.
_SLOW_ROWS = 100_000
_CHART = "throughput.svg"
_EVERYONE_BATCHES = Request("batch", 1000)
_BY_ONE = Request("stream", 1, limit=_SLOW_ROWS)

_PACKED = "userstream StreamUsers"
_BATCHES = "userstream BatchUsers(1000)"
_SINGLE = "userstream, 1 user a message"
_PACKED_PYTHON = "userstream StreamUsers, rows in Python"
_BATCHES_PYTHON = "userstream BatchUsers(1000), rows in Python"
_GO_SINGLE = "Go, 1 user a message"
_GO_BATCHES = "Go, batches of 1000"
_PLAIN = "plain grpcio, 1 user a message"
_QUICKEST = "plain grpcio, quickest loop"
_PLAIN_BATCHES = "plain grpcio, batches of 1000"
_C_READER = "C client reading (mysql --quick)"
_DRIVER = "Python's driver reading"

_SERVED: dict[str, tuple[ServerKind, Request]] = {
    _PACKED: ("userstream", Request()),
    _GO_SINGLE: ("go", Request("stream", 1)),
    _BATCHES: ("userstream", _EVERYONE_BATCHES),
    _GO_BATCHES: ("go", _EVERYONE_BATCHES),
    _PACKED_PYTHON: ("userstream-python", Request()),
    _BATCHES_PYTHON: ("userstream-python", _EVERYONE_BATCHES),
    _PLAIN_BATCHES: ("plain", _EVERYONE_BATCHES),
    _SINGLE: ("userstream", _BY_ONE),
    _PLAIN: ("plain", _BY_ONE),
    _QUICKEST: ("quickest", _BY_ONE),
}


@dataclass(frozen=True, slots=True)
class _Goal:
    """At least so many times a rival's speed; without a figure, the ratio is only told."""

    entry: str
    rival: str
    at_least: float | None = None


_GOALS = (
    _Goal(_PACKED, _GO_SINGLE, 2.0),
    _Goal(_PACKED, _GO_BATCHES, 1.0),
    _Goal(_BATCHES, _GO_BATCHES, 1.0),
    _Goal(_PACKED, _PLAIN, 60.0),
    _Goal(_PACKED, _C_READER, 0.5),
    _Goal(_SINGLE, _QUICKEST, 1.0),
    _Goal(_PACKED, _PACKED_PYTHON),
    _Goal(_BATCHES, _BATCHES_PYTHON),
    _Goal(_PACKED_PYTHON, _GO_BATCHES),
    _Goal(_BATCHES_PYTHON, _GO_BATCHES),
)
_CPU_GOALS = ((_PACKED, _GO_SINGLE), (_PACKED, _GO_BATCHES), (_BATCHES, _GO_BATCHES))


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Run every contestant over the same table."""
    table = arena.mysql.table(rows)
    samples = alternate(_entries(arena, table), rounds)
    speeds = {name: Spread.of([s.users_per_second for s in runs]) for name, runs in samples.items()}
    body = [
        f"{rows:,} rows ({_SLOW_ROWS:,} for Python with a message a row), {rounds} rounds; minimum,"
        " **median** and maximum. CPU seconds are for a million rows.",
        report.table(_SPEED_HEAD, [_speed_row(name, runs) for name, runs in samples.items()]),
        f"![Users a second]({_CHART})",
        "Ratios, round by round:",
        report.table(_GOAL_HEAD, [*_goal_rows(samples), *_cpu_goal_rows(samples)]),
    ]
    return report.Section(
        "throughput", body, {_CHART: bar_chart.bars("Users a second (median, range)", speeds)}
    )


def _entries(arena: Arena, table: Table) -> dict[str, Callable[[], Sample]]:
    entries = {}
    for name, (kind, request) in _SERVED.items():
        if kind != "go" or arena.programs:
            entries[name] = _served(arena, table, kind, request)
    entries[_DRIVER] = driver_reader(arena, table)
    try:
        entries[_C_READER] = c_reader(arena, table)
    except PackageNotFoundError as error:
        sys.stderr.write(f"No C reader: {error}\n")
    return entries


def _served(arena: Arena, table: Table, kind: ServerKind, request: Request) -> Callable[[], Sample]:
    server = arena.server(kind, table)
    if request.limit > table.rows:
        request = Request(request.method, request.users_per_message)
    return lambda: measure_call(arena, server, table, request)


_SPEED_HEAD = ("contestant", "users/s", "server CPU s/M", "MySQL CPU s/M", "client CPU s/M")


def _speed_row(name: str, runs: list[Sample]) -> list[str]:
    speed = Spread.of([s.users_per_second for s in runs])
    database = [s.database_cpu_seconds for s in runs if s.database_cpu_seconds is not None]
    users = runs[0].users
    return [
        name,
        report.spread(speed, "{:,.0f}"),
        f"{_cpu_per_million(runs):.2f}",
        f"{Spread.of(database).middle / users * 1e6:.2f}" if database else "",
        f"{Spread.of([s.client_cpu_seconds for s in runs]).middle / users * 1e6:.2f}",
    ]


_GOAL_HEAD = ("what", "beside", "ratio", "goal", "")


def _goal_rows(samples: dict[str, list[Sample]]) -> list[list[str]]:
    rows = []
    for goal in _GOALS:
        if goal.rival in samples:
            ratio = ratios(samples[goal.entry], samples[goal.rival])
            row = [goal.entry, goal.rival, report.spread(ratio, "{:.2f}")]
            if goal.at_least is None:
                rows.append([*row, "", ""])
            else:
                met = "met" if ratio.middle >= goal.at_least else "**missed**"
                rows.append([*row, f"at least {goal.at_least}", met])
    return rows


def _cpu_goal_rows(samples: dict[str, list[Sample]]) -> list[list[str]]:
    rows = []
    for entry, rival in _CPU_GOALS:
        if rival in samples:
            ratio = _cpu_per_million(samples[entry]) / _cpu_per_million(samples[rival])
            met = "met" if ratio <= 1 else "**missed**"
            rows.append([f"{entry}, server CPU", rival, f"{ratio:.2f}", "at most 1.0", met])
    return rows


def _cpu_per_million(runs: list[Sample]) -> float:
    return Spread.of([s.cpu_seconds / s.users * 1e6 for s in runs]).middle
