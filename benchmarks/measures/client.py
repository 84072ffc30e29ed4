"""The Python client, with and without its compiled decoder, beside the stub that it replaces and other servers."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from userstream_testing.debian_packages import PackageNotFoundError

from benchmarks import report
from benchmarks.arena import Arena, Server, ServerKind
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


@dataclass(frozen=True, slots=True)
class _Rival:
    """Another server and how Python reads it; all users, or `limit` of them."""

    kind: ServerKind
    limit: int = 0


_RIVALS = {
    "Arrow Flight, record batches": _Rival("flight"),
    # A slow one needs no million of them to show it.
    "FastAPI, lines of JSON": _Rival("ndjson", limit=100_000),
}


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Read one server in every way, round after round."""
    table = arena.mysql.table(rows)
    server = arena.server("userstream", table)
    drain = f"{arena.client.name}, which only counts"
    entries = {name: _entry(server, table, way) for name, way in _WAYS.items()}
    entries[drain] = lambda: measure_call(arena, server, table, Request())
    entries |= _rivals(arena, table)
    samples = alternate(entries, rounds)
    columns = ratios(samples["stream.record_batches()"], samples[drain])
    met = "met" if columns.middle >= _DRAIN_GOAL else "**missed**"
    body = [
        f"{rows:,} users, {rounds} rounds; minimum, **median** and maximum. Our client verifies order, count and"
        " CRC-32, the plain stub nothing. Arrow Flight and FastAPI read the table with mysql.connector and stream it;"
        " the client reads every record batch, or parses every line, and verifies nothing.",
        report.table(_HEAD, [_row(name, samples) for name in samples]),
        f"`record_batches()` beside {drain}: {report.spread(columns, '{:.2f}')} (goal: at least {_DRAIN_GOAL}, {met}).",
    ]
    return report.Section("client", body)


def _entry(server: Server, table: Table, way: _Way) -> Callable[[], Sample]:
    return lambda: _read(server, table, way)


def _read(server: Server, table: Table, way: _Way) -> Sample:
    without = [] if way.compiled else ["without"]
    return _sample(server, table.rows, "userstream_reader", [way.name, *without])[0]


def _rivals(arena: Arena, table: Table) -> dict[str, Callable[[], Sample]]:
    """Start the other servers that can be had, and compare what each sends with the table."""
    entries = {}
    for name, rival in _RIVALS.items():
        try:
            server = arena.server(rival.kind, table)
        except PackageNotFoundError as error:
            sys.stderr.write(f"Without {name}: {error}\n")
            continue
        entries[name] = _rival_entry(server, table, rival)
    return entries


def _rival_entry(server: Server, table: Table, rival: _Rival) -> Callable[[], Sample]:
    users = min(rival.limit or table.rows, table.rows)
    arguments = [rival.kind, str(rival.limit)]
    _, crc = _sample(server, users, "rival_reader", [*arguments, "check"])
    if crc != table.id_crc32(rival.limit):
        raise RuntimeError(f"{rival.kind} sent other users than the table has.")
    return lambda: _sample(server, users, "rival_reader", arguments)[0]


def _sample(
    server: Server, users: int, module: str, arguments: list[str]
) -> tuple[Sample, int | None]:
    """Read in a process of its own; return what it cost, and the CRC-32 of the ids where the reader has it."""
    module = f"benchmarks.contestants.{module}"
    command = [sys.executable, "-m", module, server.target, *arguments]
    before, server_before = consumers_cpu_seconds(), server.cpu_seconds()
    done = subprocess.run(command, env=python_environment(), stdout=subprocess.PIPE, check=True)
    seen = json.loads(done.stdout)
    if seen["users"] != users:
        raise RuntimeError(f"The client got {seen['users']:,} users of {users:,}.")
    used = consumers_cpu_seconds() - before
    cpu = server.cpu_seconds() - server_before
    return Sample(users, seen["seconds"], cpu, client_cpu_seconds=used), seen.get("crc32")


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
