"""read_mask: what leaving columns out saves, with the encoder in C and with the one in Python."""

from collections.abc import Callable

from benchmarks import report
from benchmarks.arena import Arena, ServerKind
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, alternate, measure_call, ratios

__all__ = ["run"]

_GOAL_SPEED, _GOAL_DATABASE_CPU = 1.3, 1.0
_KINDS: dict[str, ServerKind] = {"rows in C": "userstream", "rows in Python": "userstream-python"}
_FIELDS = {"all fields": "", "ids and ages": "user_id,age", "ids": "user_id"}
_HEAD = ("StreamUsers", "users/s", "server CPU s/M", "MySQL CPU s/M", "client CPU s/M")
_GOAL_HEAD = ("ids and ages beside all fields", "ratio", "goal", "")


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Stream the same table with all fields and with some, in turn."""
    table = arena.mysql.table(rows)
    entries = {
        f"{fields}, {kind}": _streaming(arena, table, server, Request(fields=paths))
        for kind, server in _KINDS.items()
        for fields, paths in _FIELDS.items()
    }
    samples = alternate(entries, rounds)
    goals = [row for kind in _KINDS for row in _goals(samples, kind)]
    body = [
        f"StreamUsers of {rows:,} users, {rounds} rounds; minimum, **median** and maximum. CPU"
        " seconds are for a million users.",
        report.table(_HEAD, [_row(name, runs) for name, runs in samples.items()]),
        report.table(_GOAL_HEAD, goals),
    ]
    return report.Section("fields", body)


def _streaming(
    arena: Arena, table: Table, kind: ServerKind, request: Request
) -> Callable[[], Sample]:
    server = arena.server(kind, table)
    return lambda: measure_call(arena, server, table, request)


def _row(name: str, runs: list[Sample]) -> list[str]:
    return [
        name,
        report.spread(Spread.of([s.users_per_second for s in runs]), "{:,.0f}"),
        f"{_per_million(runs, lambda s: s.cpu_seconds):.2f}",
        f"{_per_million(runs, _database_cpu):.2f}",
        f"{_per_million(runs, lambda s: s.client_cpu_seconds):.2f}",
    ]


def _goals(samples: dict[str, list[Sample]], kind: str) -> list[list[str]]:
    some, whole = samples[f"ids and ages, {kind}"], samples[f"all fields, {kind}"]
    speed = ratios(some, whole)
    cpu = _per_million(some, _database_cpu) / (_per_million(whole, _database_cpu) or 1)
    return [
        [
            f"users/s, {kind}",
            report.spread(speed, "{:.2f}"),
            f"at least {_GOAL_SPEED}",
            "met" if speed.middle >= _GOAL_SPEED else "**missed**",
        ],
        [
            f"MySQL CPU, {kind}",
            f"{cpu:.2f}",
            f"below {_GOAL_DATABASE_CPU}",
            "met" if cpu < _GOAL_DATABASE_CPU else "**missed**",
        ],
    ]


def _per_million(runs: list[Sample], seconds: Callable[[Sample], float]) -> float:
    return Spread.of([seconds(run) / run.users * 1e6 for run in runs]).middle


def _database_cpu(sample: Sample) -> float:
    return sample.database_cpu_seconds or 0.0
