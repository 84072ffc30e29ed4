"""Fault 1: a stream broken after every single row, then resumed, by raw calls and by both clients."""

from collections.abc import Iterator
from itertools import islice
from typing import Any
from zlib import crc32

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import UserFilter
from userstream_testing.calls import stub_for
from userstream_testing.client_runs import KINDS, read_users
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess

ROWS = 300


@pytest.fixture(scope="module")
def server(small_servers: tuple[ServerProcess, ServerProcess]) -> ServerProcess:
    """Return a server over 300 users."""
    return small_servers[0]


@pytest.fixture(scope="module")
def stub(server: ServerProcess) -> Iterator[Any]:
    """Yield a stub for it."""
    with stub_for(server.target) as opened:
        yield opened


def broken_and_resumed(method: Any, request: Any, after: int) -> tuple[list[str], Any]:
    """Read `after` messages, break off, go on from the last token; return all user_ids and the receipt."""
    call = method(request)
    first = list(islice(call, after))
    call.cancel()
    again = type(request)()
    again.CopyFrom(request)
    again.resume_token = first[-1].resume_token if first else ""
    messages = [*first, *method(again)]
    return [user.user_id for m in messages for user in m.users], messages[-1].receipt


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("StreamUsers", 1),
        ("BatchUsers", 29),
        pytest.param("BatchUsers", 1, marks=pytest.mark.long),
    ],
)
def test_every_row(stub: Any, faults: FaultReport, name: str, step: int) -> None:
    """Wherever it breaks, what was had and what comes after are the whole, and the receipt covers both."""
    everyone = pb.UserFilter(age_over=-1)
    request = (
        pb.StreamUsersRequest(max_users_per_message=1)
        if name == "StreamUsers"
        else pb.BatchUsersRequest(batch_size=1, filter=everyone)
    )
    method = getattr(stub, name)
    expected = [user.user_id for message in method(request) for user in message.users]
    assert len(expected) == ROWS
    for after in range(0, ROWS + 1, step):
        with faults.round(f"1 {name} broken after every row, resumed"):
            user_ids, receipt = broken_and_resumed(method, request, after)

            assert expected == user_ids
            assert (ROWS, crc32("".join(expected).encode())) == (
                receipt.user_count,
                receipt.user_id_crc32,
            )
            assert int(after > 0) == receipt.resumed_count


def numbered(page: Any) -> tuple[int, list[str]]:
    return page.page_number, [user.user_id for user in page.users]


@pytest.mark.parametrize("step", [43, pytest.param(1, marks=pytest.mark.long)])
def test_every_page(stub: Any, faults: FaultReport, step: int) -> None:
    """Whichever page was the last one had, its token leads to exactly the others, numbered on."""
    request = pb.PaginateRequest(page_size=1)
    pages = list(stub.Paginate(request))
    for after in range(1, ROWS, step):
        with faults.round("1 Paginate broken after every page, resumed"):
            token = pages[after - 1].next_page_token
            rest = list(stub.Paginate(pb.PaginateRequest(page_size=1, page_token=token)))

            assert [numbered(page) for page in pages[after:]] == [numbered(page) for page in rest]
    assert ROWS == len({user.user_id for page in pages for user in page.users})


@pytest.mark.parametrize("step", [149, pytest.param(7, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["stream_users", "batch_users"])
def test_checkpoints(
    server: ServerProcess, faults: FaultReport, method: str, kind: str, step: int
) -> None:
    """Left behind any row and begun again in a new client from its checkpoint, a stream is whole and verified."""
    options: dict[str, Any] = (
        {"max_users_per_message": 1}
        if method == "stream_users"
        else {"batch_size": 1, "where": UserFilter(age_over=-1)}
    )
    expected = [u.user_id for u in read_users(kind, server.target, method=method, **options).users]
    for after in range(1, ROWS, step):
        with faults.round("1 client abandoned after a row, restarted from its checkpoint"):
            first = read_users(kind, server.target, method=method, most=after, **options)
            rest = read_users(
                kind, server.target, method=method, resume_token=first.checkpoint, **options
            )
            user_ids = [user.user_id for user in (*first.users, *rest.users)]

            # One of a stream's users comes again: whether the last one was taken, only the next shows.
            assert expected == sorted(set(user_ids))
            assert len(user_ids) - ROWS == (method == "stream_users")
            assert rest.receipt is not None
            assert crc32("".join(expected).encode()) == rest.receipt.user_id_crc32
