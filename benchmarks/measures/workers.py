"""More server processes on one port: `--workers N`."""

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks import report
from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, alternate, measure_call, ratios

__all__ = ["run"]

_WORKERS = (1, 2, 4)
_CONSUMERS = 4
_HEAD = ("workers", "users/s together", "beside one worker", "server CPU s/M")


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Let the same consumers meet servers with more and more processes."""
    table = arena.mysql.table(rows)
    with ExitStack() as stack:
        entries: dict[str, Callable[[], Sample]] = {}
        for count in _WORKERS:
            server = stack.enter_context(arena.userstream(table, WORKERS=str(count)))
            entries[f"{count}"] = _consuming(arena, server, table)
        samples = alternate(entries, rounds)
    body = [
        f"{_CONSUMERS} consumers at once, each all of {rows:,} users, each with a connection of"
        f" its own; {rounds} rounds: minimum, **median** and maximum.",
        report.table(_HEAD, [_row(name, runs, samples["1"]) for name, runs in samples.items()]),
    ]
    return report.Section("workers", body)


def _consuming(arena: Arena, server: Server, table: Table) -> Callable[[], Sample]:
    return lambda: measure_call(arena, server, table, Request(), parallel=_CONSUMERS)


def _row(name: str, runs: list[Sample], single: list[Sample]) -> list[str]:
    cpu = Spread.of([s.cpu_seconds / s.users * 1e6 for s in runs])
    return [
        name,
        report.spread(Spread.of([s.users_per_second for s in runs]), "{:,.0f}"),
        report.spread(ratios(runs, single), "{:.2f}"),
        f"{cpu.middle:.2f}",
    ]
