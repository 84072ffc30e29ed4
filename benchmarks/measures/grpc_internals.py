"""What each reach into gRPC's private parts gives: our server beside the same one without it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import report
from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, alternate, measure_call, ratios

__all__ = ["run"]

_SMALL_MESSAGES = 20_000
_OURS = "as it is"
_NO_HINTS = "without send hints"
_EVENT_ENGINE = "with gRPC's event engine"
_HEAD = (
    "call",
    "server",
    "users/s",
    "speed beside ours",
    "server CPU s/M",
    "CPU beside ours",
    "client CPU s/M",
)


@dataclass(frozen=True, slots=True)
class _Case:
    """One call, and the servers whose difference it may show."""

    name: str
    request: Request
    servers: tuple[str, ...]


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Let the servers answer the same calls in turn."""
    table = arena.mysql.table(rows)
    with ExitStack() as stack:
        servers = _servers(arena, table, stack)
        cases = _cases(rows)
        entries = {
            f"{case.name}|{which}": _calling(arena, servers[which], table, case.request)
            for case in cases
            for which in case.servers
        }
        samples = alternate(entries, rounds)
    body = [
        f"{rows:,} users, or {_SMALL_MESSAGES:,} small messages; {rounds} rounds; minimum, **median** and maximum."
        " Ratios are taken round by round.",
        report.table(
            _HEAD, [_row(case, which, samples) for case in cases for which in case.servers]
        ),
    ]
    return report.Section("grpc-internals", body)


def _servers(arena: Arena, table: Table, stack: ExitStack) -> dict[str, Server]:
    without_hints = "benchmarks.contestants.userstream_without_hints"
    return {
        _OURS: stack.enter_context(arena.userstream(table)),
        _NO_HINTS: stack.enter_context(arena.userstream(table, module=without_hints)),
        _EVENT_ENGINE: stack.enter_context(arena.userstream(table, GRPC_EXPERIMENTS="")),
    }


def _cases(rows: int) -> list[_Case]:
    every, packed = (_OURS, _NO_HINTS, _EVENT_ENGINE), (_OURS, _EVENT_ENGINE)
    cases = [
        _Case("StreamUsers", Request(), packed),
        _Case("BatchUsers, 1000 a message", Request("batch", 1000), packed),
    ]
    for method, users in (("stream", 1), ("stream", 10), ("batch", 50)):
        request = Request(method, users, limit=min(_SMALL_MESSAGES * users, rows))
        name = f"{'StreamUsers' if method == 'stream' else 'BatchUsers'}, {users} a message"
        cases.append(_Case(name, request, every))
    return cases


def _calling(arena: Arena, server: Server, table: Table, request: Request) -> Callable[[], Sample]:
    return lambda: measure_call(arena, server, table, request)


def _row(case: _Case, which: str, samples: dict[str, list[Sample]]) -> list[str]:
    runs, ours = samples[f"{case.name}|{which}"], samples[f"{case.name}|{_OURS}"]
    speed, cpu = ratios(runs, ours), _cpu_ratios(runs, ours)
    return [
        case.name,
        which,
        report.spread(Spread.of([s.users_per_second for s in runs]), "{:,.0f}"),
        report.spread(speed, "{:.2f}") if runs is not ours else "",
        f"{_per_million([s.cpu_seconds for s in runs], runs):.2f}",
        report.spread(cpu, "{:.2f}") if runs is not ours else "",
        f"{_per_million([s.client_cpu_seconds for s in runs], runs):.2f}",
    ]


def _cpu_ratios(runs: list[Sample], ours: list[Sample]) -> Spread:
    pairs = zip(runs, ours, strict=True)
    return Spread.of([its.cpu_seconds / mine.cpu_seconds for its, mine in pairs])


def _per_million(seconds: list[float], runs: list[Sample]) -> float:
    return Spread.of(seconds).middle / runs[0].users * 1e6
