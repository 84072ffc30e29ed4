"""AverageAge beside SQL's AVG(), and a late page beside the first one."""

import time
from collections.abc import Callable
from typing import Any

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1 import user_service_pb2_grpc

from benchmarks import report
from benchmarks.arena import Arena
from benchmarks.databases import Table
from benchmarks.rounds import Spread

__all__ = ["run"]

_SQL = "SELECT AVG(age) FROM user_data"
_PAGE_USERS = 100
_LARGEST_PAGE = 10_000
_PAGE_CALLS = 200
_OFFSET_CALLS = 10
_GOAL_AVERAGE, _GOAL_PAGE = 0.5, 1.2


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Measure both, in turn with what they are held against."""
    table = arena.mysql.table(rows)
    target = arena.server("userstream", table).target
    with grpc.insecure_channel(target) as channel:
        stub = user_service_pb2_grpc.UserServiceStub(channel)
        body = [
            f"The average age of {rows:,} users, {rounds} rounds:",
            _averages(stub, table, rounds),
            f"One page of {_PAGE_USERS} users, {_PAGE_CALLS} calls in turn ({_OFFSET_CALLS} by"
            " offset):",
            _pages(stub, rows),
        ]
    return report.Section("averages", body)


def _averages(stub: Any, table: Table, rounds: int) -> str:
    ours: list[float] = []
    sql: list[float] = []
    with_connection = table.connect()
    with with_connection.cursor() as cursor:
        for number in range(rounds + 1):
            theirs = _seconds(lambda: (cursor.execute(_SQL), cursor.fetchall()))
            mine = _seconds(lambda: stub.AverageAge(pb.AverageAgeRequest()))
            if number:
                sql.append(theirs)
                ours.append(mine)
    with_connection.close()
    ratio = Spread.of([theirs / mine for theirs, mine in zip(sql, ours, strict=True)])
    rows = [
        ["SQL AVG(), s", report.spread(Spread.of(sql), "{:.3f}"), "", ""],
        ["AverageAge, s", report.spread(Spread.of(ours), "{:.3f}"), "", ""],
        [
            "AverageAge's speed beside AVG()",
            report.spread(ratio, "{:.2f}"),
            f"at least {_GOAL_AVERAGE}",
            "met" if ratio.middle >= _GOAL_AVERAGE else "**missed**",
        ],
    ]
    return report.table(("what", "measured", "goal", ""), rows)


def _pages(stub: Any, rows: int) -> str:
    late_page = rows * 9 // 10 // _PAGE_USERS
    skipped = (late_page - 1) * _PAGE_USERS
    token = _token_after(stub, skipped)
    first: list[float] = []
    late: list[float] = []
    for _ in range(_PAGE_CALLS):
        first.append(_seconds(lambda: _page(stub)))
        late.append(_seconds(lambda: _page(stub, page_token=token)))
    jumps = [_seconds(lambda: _page(stub, offset=skipped)) for _ in range(_OFFSET_CALLS)]
    ratio = Spread.of(late).middle / Spread.of(first).middle
    met = "met" if ratio <= _GOAL_PAGE else "**missed**"
    lines = [
        ["page 1, ms", _milliseconds(first), "", ""],
        [f"page {late_page:,} by token, ms", _milliseconds(late), "", ""],
        [f"page {late_page:,} by offset, ms", _milliseconds(jumps), "", ""],
        [
            f"page {late_page:,} by token beside page 1",
            f"{ratio:.2f}",
            f"at most {_GOAL_PAGE}",
            met,
        ],
    ]
    return report.table(("what", "measured", "goal", ""), lines)


def _page(stub: Any, **fields: Any) -> Any:
    request = pb.PaginateRequest(page_size=_PAGE_USERS, page_limit=1, **fields)
    return list(stub.Paginate(request))


def _token_after(stub: Any, users: int) -> str:
    """Walk to a place in large steps; return the token to continue from there."""
    token = ""
    while users:
        size = min(users, _LARGEST_PAGE)
        (page,) = stub.Paginate(pb.PaginateRequest(page_size=size, page_limit=1, page_token=token))
        token = page.next_page_token
        users -= size
    return token


def _seconds(act: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def _milliseconds(seconds: list[float]) -> str:
    return report.spread(Spread.of([s * 1000 for s in seconds]), "{:.2f}")
