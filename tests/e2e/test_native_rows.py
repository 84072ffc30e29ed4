"""A server that encodes users in C and one that does so in Python send the same messages."""

from collections.abc import Iterator
from typing import Any

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import stub_for
from userstream_testing.server_process import ServerProcess

EVERYONE = pb.UserFilter(age_over=-1)
CALLS = {
    "one a message": ("StreamUsers", pb.StreamUsersRequest(max_users_per_message=1, limit=500)),
    "a hundred": ("StreamUsers", pb.StreamUsersRequest(max_users_per_message=100)),
    "over 25": ("BatchUsers", pb.BatchUsersRequest(batch_size=7, limit=5000)),
    "batches": ("BatchUsers", pb.BatchUsersRequest(batch_size=1000, filter=EVERYONE)),
    "large batches": ("BatchUsers", pb.BatchUsersRequest(batch_size=10_000, filter=EVERYONE)),
    "snapshot": (
        "StreamUsers",
        pb.StreamUsersRequest(max_users_per_message=900, consistency=pb.CONSISTENCY_SNAPSHOT),
    ),
    "prefix": ("StreamUsers", pb.StreamUsersRequest(filter=pb.UserFilter(name_prefix="Zoë"))),
    "nobody": ("StreamUsers", pb.StreamUsersRequest(filter=pb.UserFilter(name_prefix="no one"))),
    "pages": ("Paginate", pb.PaginateRequest(page_size=100, page_limit=20)),
    "offset": ("Paginate", pb.PaginateRequest(page_size=100, offset=59_950)),
}


@pytest.fixture(scope="module")
def stubs(reader_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """Yield stubs to two servers over the same 60,000 users, the second of which uses Python alone."""
    settings = {"USERSTREAM_DATABASE_URL": reader_url}
    python = settings | {"USERSTREAM_NATIVE_ROWS": "false"}
    c_folder, python_folder = (tmp_path_factory.mktemp(name) for name in ("c", "python"))
    with (
        ServerProcess(settings, folder=c_folder) as c_server,
        ServerProcess(python, folder=python_folder) as python_server,
        stub_for(c_server.target) as c_stub,
        stub_for(python_server.target) as python_stub,
    ):
        yield c_stub, python_stub


@pytest.mark.parametrize("name", CALLS)
def test_the_same_messages(stubs: tuple[Any, Any], name: str) -> None:
    """Users, tokens, progress and receipts are equal, message by message."""
    method, request = CALLS[name]
    in_c, in_python = ([*getattr(stub, method)(request)] for stub in stubs)

    assert in_python == in_c


def test_packed_streams_hold_the_same_users(stubs: tuple[Any, Any]) -> None:
    """Where messages end follows the consumer's speed; whom they hold, and the receipt, do not."""
    in_c, in_python = ([*stub.StreamUsers(pb.StreamUsersRequest())] for stub in stubs)

    assert [u for m in in_python for u in m.users] == [u for m in in_c for u in m.users]
    assert in_python[-1].receipt == in_c[-1].receipt


def test_a_stream_goes_on_at_the_other(stubs: tuple[Any, Any]) -> None:
    """A token of one leads to the same receipt at the other, either way."""
    for first, second in (stubs, stubs[::-1]):
        messages = first.StreamUsers(pb.StreamUsersRequest(max_users_per_message=1000))
        token = next(messages).resume_token
        *_, expected = messages
        request = pb.StreamUsersRequest(max_users_per_message=1000, resume_token=token)
        *_, went_on = second.StreamUsers(request)

        assert (expected.receipt.user_count, expected.receipt.user_id_crc32) == (
            went_on.receipt.user_count,
            went_on.receipt.user_id_crc32,
        )
