"""How long a caller waits for the first user, whatever the table's size."""

from collections.abc import Sequence

from benchmarks import report
from benchmarks.arena import Arena, Server, ServerKind
from benchmarks.consumer import Request
from benchmarks.rounds import Spread

__all__ = ["run"]

_CALLS = 200
_GOAL_MILLISECONDS = 5.0
_HEAD = ("rows", "userstream ms", "99th of 100", "Go ms", "99th of 100", "goal: median", "")


def run(arena: Arena, *, sizes: Sequence[int]) -> report.Section:
    """Make many calls that end with their first message, over a table of each size."""
    rows = []
    for size in sizes:
        table = arena.mysql.table(size)
        ours = _milliseconds(arena, arena.server("userstream", table))
        met = "met" if Spread.of(ours).middle < _GOAL_MILLISECONDS else "**missed**"
        kinds: tuple[ServerKind, ...] = ("go",) if arena.programs else ()
        others = [_milliseconds(arena, arena.server(kind, table)) for kind in kinds]
        cells = [cell for times in (ours, *others) for cell in _cells(times)]
        cells += [""] * (4 - len(cells))
        rows.append([f"{size:,}", *cells, f"under {_GOAL_MILLISECONDS:g} ms", met])
    body = [
        f"StreamUsers, {_CALLS} calls one after the other on one connection, each cancelled after"
        " its first message: minimum, **median** and maximum.",
        report.table(_HEAD, rows),
    ]
    return report.Section("first-user", body)


def _milliseconds(arena: Arena, server: Server) -> list[float]:
    request = Request("stream")
    arena.client.calls(server.target, request, repeat=_CALLS // 10, first_only=True)
    calls = arena.client.calls(server.target, request, repeat=_CALLS, first_only=True)
    return sorted(call.first_seconds * 1000 for call in calls)


def _cells(times: Sequence[float]) -> list[str]:
    return [report.spread(Spread.of(times), "{:.2f}"), f"{times[len(times) * 99 // 100]:.2f}"]
