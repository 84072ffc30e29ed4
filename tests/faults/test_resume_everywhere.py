"""Fault 1: a stream broken behind every single row, then resumed. Fault 9: tokens that must be refused."""

import base64
from collections.abc import Iterator
from itertools import islice
from typing import Any
from zlib import crc32

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess

ROWS = 300


@pytest.fixture(scope="module")
def stub(small_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a stub for a server over 300 users."""
    folder = tmp_path_factory.mktemp("resume")
    with (
        ServerProcess({"USERSTREAM_DATABASE_URL": small_url}, folder=folder) as server,
        stub_for(server.target) as opened,
    ):
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
    "name", ["StreamUsers", pytest.param("BatchUsers", marks=pytest.mark.long)]
)
def test_every_row(stub: Any, faults: FaultReport, name: str) -> None:
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
    for after in range(ROWS + 1):
        with faults.round("1 break behind every row, resume"):
            user_ids, receipt = broken_and_resumed(method, request, after)

            assert expected == user_ids
            assert (ROWS, crc32("".join(expected).encode())) == (
                receipt.user_count,
                receipt.user_id_crc32,
            )
            assert int(after > 0) == receipt.resumed_count


def refused(call: Any) -> str:
    """Make a call that must fail; return `status field` of its answer."""
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    error = rich_error(caught.value)
    return f"{error.code.name} {error.info.reason} {','.join(error.fields)}"


WANTED = "INVALID_ARGUMENT INVALID_TOKEN resume_token"


@pytest.fixture(scope="module")
def token(stub: Any) -> str:
    """Return a token from the middle of a stream."""
    call = stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=10))
    token = str(next(call).resume_token)
    call.cancel()
    return token


def test_every_flipped_bit(stub: Any, faults: FaultReport, token: str) -> None:
    """A token with any one bit of its content turned over is refused, and so is any changed character."""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    damaged = [
        base64.urlsafe_b64encode(
            raw[: bit // 8] + bytes([raw[bit // 8] ^ 1 << bit % 8]) + raw[bit // 8 + 1 :]
        )
        .rstrip(b"=")
        .decode()
        for bit in range(len(raw) * 8)
    ]
    damaged += [token[:n] + chr(ord(token[n]) ^ 1) + token[n + 1 :] for n in range(len(token))]
    for text in damaged:
        with faults.round("9 token with one bit flipped"):
            assert WANTED == refused(stub.StreamUsers(pb.StreamUsersRequest(resume_token=text)))


def test_every_truncation(stub: Any, faults: FaultReport, token: str) -> None:
    """A token cut short, or with something behind it, is refused."""
    for text in [*(token[:n] for n in range(1, len(token))), token + "A", token + "=", token * 2]:
        with faults.round("9 token truncated or lengthened"):
            assert WANTED == refused(stub.StreamUsers(pb.StreamUsersRequest(resume_token=text)))


def test_tokens_of_others(stub: Any, faults: FaultReport, token: str) -> None:
    """A token is refused with any other request, at any other RPC, and when it was made up."""
    over = pb.UserFilter(age_over=30)
    batch = next(stub.BatchUsers(pb.BatchUsersRequest(batch_size=5))).resume_token
    page = next(stub.Paginate(pb.PaginateRequest(page_size=5))).next_page_token
    (part,) = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=1)).partitions
    calls = [
        stub.StreamUsers(pb.StreamUsersRequest(resume_token=token, filter=over)),
        stub.StreamUsers(pb.StreamUsersRequest(resume_token=token, limit=77)),
        stub.StreamUsers(
            pb.StreamUsersRequest(resume_token=token, consistency=pb.CONSISTENCY_SNAPSHOT)
        ),
        stub.StreamUsers(pb.StreamUsersRequest(resume_token=token, partition=part.partition)),
        stub.BatchUsers(pb.BatchUsersRequest(resume_token=token)),
        stub.StreamAverageAge(pb.StreamAverageAgeRequest(resume_token=token)),
        stub.StreamUsers(pb.StreamUsersRequest(resume_token=batch)),
        stub.StreamUsers(pb.StreamUsersRequest(resume_token=page)),
        stub.StreamUsers(pb.StreamUsersRequest(resume_token=part.partition)),
        stub.StreamUsers(pb.StreamUsersRequest(resume_token="made up")),
        stub.StreamUsers(pb.StreamUsersRequest(resume_token="A" * len(token))),
    ]
    for call in calls:
        with faults.round("9 token of another request or RPC, or forged"):
            assert WANTED == refused(call)
    with faults.round("9 token of another request or RPC, or forged"):
        wanted = WANTED.replace("resume_token", "page_token")
        assert wanted == refused(stub.Paginate(pb.PaginateRequest(page_token=token)))


def test_ages_resume_exactly(stub: Any) -> None:
    """A finished average's token goes on to the same figures."""
    *_, whole = stub.StreamAverageAge(pb.StreamAverageAgeRequest())
    *_, again = stub.StreamAverageAge(pb.StreamAverageAgeRequest(resume_token=whole.resume_token))

    assert (whole.user_count, whole.age_sum) == (again.user_count, again.age_sum)
