"""The Python client beside the stub that it replaces, with and without its compiled decoder."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import report
from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request, python_environment
from benchmarks.databases import Table
from benchmarks.rounds import (
    Sample,
    Spread,
    alternate,
    consumers_cpu_seconds,
    measure_call,
    ratios,
)

__all__ = ["run"]

_STUB = "plain stub, every field touched, nothing verified"
_HEAD = ("reader in Python", "users/s", "beside the plain stub", "client CPU s/M", "goal", "")


@dataclass(frozen=True, slots=True)
class _Way:
    """A way of reading; its goal is at least so many times the speed of the plain stub."""

    name: str
    compiled: bool = True
    goal: float | None = None


_WAYS = {
    _STUB: _Way("plain-stub"),
    "for user in client.stream_users()": _Way("stream", goal=1.4),
    "client.stream_users().chunks()": _Way("chunks"),
    "client.batch_users(1000)": _Way("batches", goal=1.4),
    "asyncio, chunks()": _Way("asyncio-chunks", goal=1.4),
    "for user in client.stream_users(), no compiler": _Way("stream", compiled=False, goal=0.95),
    "stream.record_batches()": _Way("record-batches"),
    "stream.to_arrow()": _Way("table"),
}
_DRAIN_GOAL = 0.8


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Read one server in every way, round after round."""
    table = arena.mysql.table(rows)
    server = arena.server("userstream", table)
    drain = f"{arena.client.name}, which only counts"
    entries = {name: _entry(server, table, way) for name, way in _WAYS.items()}
    entries[drain] = lambda: measure_call(arena, server, table, Request())
    samples = alternate(entries, rounds)
    columns = ratios(samples["stream.record_batches()"], samples[drain])
    met = "met" if columns.middle >= _DRAIN_GOAL else "**missed**"
    body = [
        f"{rows:,} users, {rounds} rounds; minimum, **median** and maximum. Our client verifies order, count and"
        " CRC-32, the plain stub nothing.",
        report.table(_HEAD, [_row(name, samples) for name in samples]),
        f"`record_batches()` beside {drain}: {report.spread(columns, '{:.2f}')} (goal: at least {_DRAIN_GOAL}, {met}).",
    ]
    return report.Section("client", body)


def _entry(server: Server, table: Table, way: _Way) -> Callable[[], Sample]:
    return lambda: _read(server, table, way)


def _read(server: Server, table: Table, way: _Way) -> Sample:
    """Read the table in a process of its own."""
    module = "benchmarks.contestants.userstream_reader"
    command = [sys.executable, "-m", module, server.target, way.name]
    command += [] if way.compiled else ["without"]
    before, server_before = consumers_cpu_seconds(), server.cpu_seconds()
    done = subprocess.run(command, env=python_environment(), stdout=subprocess.PIPE, check=True)
    seen = json.loads(done.stdout)
    if seen["users"] != table.rows:
        raise RuntimeError(f"The client got {seen['users']:,} users of {table.rows:,}.")
    used = consumers_cpu_seconds() - before
    cpu = server.cpu_seconds() - server_before
    return Sample(seen["users"], seen["seconds"], cpu, client_cpu_seconds=used)


def _row(name: str, samples: dict[str, list[Sample]]) -> list[str]:
    runs = samples[name]
    speed = Spread.of([s.users_per_second for s in runs])
    cpu = Spread.of([s.client_cpu_seconds / s.users * 1e6 for s in runs])
    beside = ratios(runs, samples[_STUB])
    goal = ["", ""]
    if name in _WAYS and (least := _WAYS[name].goal):
        goal = [f"at least {least}", "met" if beside.middle >= least else "**missed**"]
    return [
        name,
        report.spread(speed, "{:,.0f}"),
        report.spread(beside, "{:.2f}"),
        f"{cpu.middle:.2f}",
        *goal,
    ]
