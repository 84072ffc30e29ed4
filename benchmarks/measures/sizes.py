"""Tables of growing size: time grows with the rows, memory does not."""

from collections.abc import Sequence

from benchmarks import report
from benchmarks.arena import Arena
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, measure_call

__all__ = ["run"]

_GOAL_MEBIBYTES = 16
_HEAD = ("rows", "seconds", "users/s", "server CPU s/M", "server's peak MiB")


def run(arena: Arena, *, sizes: Sequence[int], rounds: int) -> report.Section:
    """Stream tables of each size, each with a server of its own."""
    rows, peaks = [], []
    for size in sizes:
        samples, peak = _measure(arena, arena.mysql.table(size), rounds)
        peaks.append(peak / 2**20)
        rows.append(_row(size, samples, peaks[-1]))
    growth = peaks[-1] - peaks[0]
    met = "met" if growth <= _GOAL_MEBIBYTES else "**missed**"
    body = [
        f"StreamUsers of the whole table, {rounds} times; minimum, **median** and maximum."
        " Each size has a new server; its peak is over all its runs.",
        report.table(_HEAD, rows),
        f"From {sizes[0]:,} to {sizes[-1]:,} rows the server's peak grew by {growth:.1f} MiB"
        f" (goal: at most {_GOAL_MEBIBYTES} MiB, {met}).",
    ]
    return report.Section("sizes", body)


def _measure(arena: Arena, table: Table, rounds: int) -> tuple[list[Sample], int]:
    with arena.userstream(table) as server:
        runs = [measure_call(arena, server, table, Request()) for _ in range(rounds)]
        return runs, server.peak_bytes()


def _row(size: int, samples: Sequence[Sample], peak_mebibytes: float) -> list[str]:
    cpu = Spread.of([s.cpu_seconds / s.users * 1e6 for s in samples])
    return [
        f"{size:,}",
        report.spread(Spread.of([s.seconds for s in samples]), "{:.3f}"),
        report.spread(Spread.of([s.users_per_second for s in samples]), "{:,.0f}"),
        f"{cpu.middle:.2f}",
        f"{peak_mebibytes:.1f}",
    ]
