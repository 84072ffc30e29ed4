"""userstream's own Python client: users a second through `for user in client.stream_users()`."""

import json
import subprocess
import sys
from collections.abc import Callable

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
)

__all__ = ["run"]

_GOAL = 400_000
_STREAM = "Python, for user in client.stream_users()"
_BATCH = "Python, for batch in client.batch_users(1000)"
_HEAD = ("client", "users/s", "client CPU s/M", "goal", "")


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Read the same server with our client and with the one that all contestants met."""
    table = arena.mysql.table(rows)
    server = arena.server("userstream", table)
    samples = alternate(_entries(arena, server, table), rounds)
    body = [
        f"{rows:,} users, {rounds} rounds; minimum, **median** and maximum.",
        report.table(_HEAD, [_row(name, runs) for name, runs in samples.items()]),
    ]
    return report.Section("client", body)


def _entries(arena: Arena, server: Server, table: Table) -> dict[str, Callable[[], Sample]]:
    return {
        _STREAM: lambda: _read(server, table, "stream"),
        _BATCH: lambda: _read(server, table, "batch"),
        f"{arena.client.name}, StreamUsers": lambda: measure_call(arena, server, table, Request()),
    }


def _read(server: Server, table: Table, method: str) -> Sample:
    """Read the table in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.contestants.userstream_reader",
        server.target,
        method,
    ]
    before, server_before = consumers_cpu_seconds(), server.cpu_seconds()
    done = subprocess.run(command, env=python_environment(), stdout=subprocess.PIPE, check=True)
    seen = json.loads(done.stdout)
    if seen["users"] != table.rows:
        raise RuntimeError(f"The client got {seen['users']:,} users of {table.rows:,}.")
    used = consumers_cpu_seconds() - before
    cpu = server.cpu_seconds() - server_before
    return Sample(seen["users"], seen["seconds"], cpu, client_cpu_seconds=used)


def _row(name: str, runs: list[Sample]) -> list[str]:
    speed = Spread.of([s.users_per_second for s in runs])
    cpu = Spread.of([s.client_cpu_seconds / s.users * 1e6 for s in runs])
    goal = ["", ""]
    if name == _STREAM:
        goal = [f"at least {_GOAL:,}", "met" if speed.middle >= _GOAL else "**missed**"]
    return [name, report.spread(speed, "{:,.0f}"), f"{cpu.middle:.2f}", *goal]
