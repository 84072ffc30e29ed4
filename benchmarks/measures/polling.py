"""How gRPC's core waits: our choice beside its own, for us and for the quickest plain loop."""

from collections.abc import Callable
from contextlib import ExitStack

from userstream_server.grpc_internals import GRPC_EXPERIMENTS

from benchmarks import report
from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, alternate, measure_call, ratios

__all__ = ["run"]

_SINGLE_ROWS = 20_000
_CHOICES = {"gRPC's choice": "", "ours": GRPC_EXPERIMENTS}
_HEAD = ("server", "polling", "users/s", "beside gRPC's choice", "server CPU s/M")


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Let each server run both ways, in turn."""
    table = arena.mysql.table(rows)
    single = Request("stream", 1, limit=min(_SINGLE_ROWS, rows))
    with ExitStack() as stack:
        entries: dict[str, Callable[[], Sample]] = {}
        for choice, value in _CHOICES.items():
            environment = {"GRPC_EXPERIMENTS": value}
            ours = stack.enter_context(arena.userstream(table, **environment))
            plain = stack.enter_context(arena.served("quickest", table, environment))
            for server, name, request in (
                (ours, "userstream StreamUsers", Request()),
                (ours, "userstream, 1 user a message", single),
                (plain, "plain grpcio, quickest loop", single),
            ):
                entries[f"{name}|{choice}"] = _calling(arena, server, table, request)
        samples = alternate(entries, rounds)
    names = dict.fromkeys(entry.split("|")[0] for entry in entries)
    body = [
        f"{rows:,} users ({single.limit:,} at one a message), {rounds} rounds; minimum, **median** and maximum.",
        report.table(_HEAD, [_row(n, choice, samples) for n in names for choice in _CHOICES]),
    ]
    return report.Section("polling", body)


def _calling(arena: Arena, server: Server, table: Table, request: Request) -> Callable[[], Sample]:
    return lambda: measure_call(arena, server, table, request)


def _row(name: str, choice: str, samples: dict[str, list[Sample]]) -> list[str]:
    runs, rivals = (samples[f"{name}|{which}"] for which in (choice, next(iter(_CHOICES))))
    cpu = Spread.of([s.cpu_seconds / s.users * 1e6 for s in runs])
    return [
        name,
        choice,
        report.spread(Spread.of([s.users_per_second for s in runs]), "{:,.0f}"),
        report.spread(ratios(runs, rivals), "{:.2f}") if runs is not rivals else "",
        f"{cpu.middle:.2f}",
    ]
