"""Every RPC over a real server and a real channel, on each database."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.rows.types import UserRow
from userstream_testing.admin import execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.server_process import ServerProcess

EVERYONE = pb.UserFilter(age_over=-1)


@pytest.fixture
def stub(shared_server: ServerProcess) -> Iterator[Any]:
    """Yield a plain stub."""
    with stub_for(shared_server.target) as opened:
        yield opened


@pytest.fixture
def own_stub(server: ServerProcess) -> Iterator[Any]:
    """Yield a plain stub to a server whose table the test may change."""
    with stub_for(server.target) as opened:
        yield opened


def rows(messages: list[Any]) -> list[UserRow]:
    return [UserRow(u.user_id, u.name, u.email, u.age) for m in messages for u in m.users]


def test_stream_users(stub: Any, users: list[UserRow]) -> None:
    """Everyone in key order, packed, with a receipt that fits."""
    messages = list(stub.StreamUsers(pb.StreamUsersRequest()))
    receipt = messages[-1].receipt

    assert users == rows(messages)
    assert len(messages) < 20
    assert len(messages[0].users) == 1
    assert receipt.user_count == len(users)
    assert receipt.user_id_crc32 == crc32("".join(u.user_id for u in users).encode())
    assert receipt.consistency == pb.CONSISTENCY_LIVE
    assert not any(message.HasField("receipt") for message in messages[:-1])


def test_stream_users_one_a_message(stub: Any, users: list[UserRow]) -> None:
    """max_users_per_message=1 sends one user in each."""
    messages = list(stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=1)))

    assert users == rows(messages)
    assert {1} == {len(message.users) for message in messages}


@pytest.mark.parametrize("limit", [1, 249, 250, 251, 1234, 2000])
def test_a_resumed_stream_goes_on_exactly(stub: Any, users: list[UserRow], limit: int) -> None:
    """From each message's token the rest comes, and the receipt covers the whole scan."""
    wanted = users[:limit]
    first = list(stub.StreamUsers(pb.StreamUsersRequest(limit=limit, max_users_per_message=100)))
    for number, message in enumerate(first):
        request = pb.StreamUsersRequest(limit=limit, resume_token=message.resume_token)
        rest = list(stub.StreamUsers(request))

        assert wanted == rows(first[: number + 1]) + rows(rest)
        assert rest[-1].receipt.user_id_crc32 == first[-1].receipt.user_id_crc32
        assert rest[-1].receipt.user_count == len(wanted)
        assert rest[-1].receipt.resumed_count == 1
        assert rest[-1].progress.users_sent == len(wanted)


def test_batch_users(stub: Any, users: list[UserRow]) -> None:
    """By default batches of users over 25, exact but for the last, which has the receipt."""
    over_25 = [user for user in users if user.age > 25]
    batches = list(stub.BatchUsers(pb.BatchUsersRequest(batch_size=100)))

    assert over_25 == rows(batches)
    assert {100} == {len(batch.users) for batch in batches[:-1]}
    assert batches[-1].receipt.user_count == len(over_25)


def test_batch_users_of_every_age(stub: Any, users: list[UserRow]) -> None:
    """age_over -1 takes everyone; the default size is 1000."""
    batches = list(stub.BatchUsers(pb.BatchUsersRequest(filter=EVERYONE)))

    assert users == rows(batches)
    assert [1000, 234] == [len(batch.users) for batch in batches]


def test_batches_resume(stub: Any) -> None:
    """A batch's token goes on after that batch."""
    request = pb.BatchUsersRequest(batch_size=500, filter=EVERYONE)
    first, *_ = batches = list(stub.BatchUsers(request))
    request.resume_token = first.resume_token

    assert rows(batches[1:]) == rows(list(stub.BatchUsers(request)))


def test_paginate(stub: Any, users: list[UserRow]) -> None:
    """All pages in one call: in order, numbered, the last without a token."""
    pages = list(stub.Paginate(pb.PaginateRequest(page_size=500)))

    assert users == rows(pages)
    assert [1, 2, 3] == [page.page_number for page in pages]
    assert [True, True, False] == [bool(page.next_page_token) for page in pages]


def test_paginate_as_a_list_call(stub: Any, users: list[UserRow]) -> None:
    """page_limit 1 and the token of the page before lead through the table; sizes may change."""
    token, found, numbers = "", [], []
    for size in range(100, 1000):
        (page,) = stub.Paginate(pb.PaginateRequest(page_size=size, page_token=token, page_limit=1))
        found += rows([page])
        numbers.append(page.page_number)
        token = page.next_page_token
        if not token:
            break

    assert users == found
    assert list(range(1, len(numbers) + 1)) == numbers


def test_paginate_at_an_offset(stub: Any, users: list[UserRow]) -> None:
    """An offset jumps; the page is numbered as if pages came before it."""
    (page,) = stub.Paginate(pb.PaginateRequest(page_size=10, offset=1000, page_limit=1))

    assert users[1000:1010] == rows([page])
    assert page.page_number == 101


def test_average_age(stub: Any, users: list[UserRow]) -> None:
    """Exact sum, count, quotient and histogram."""
    answer = stub.AverageAge(pb.AverageAgeRequest(include_histogram=True))

    assert (len(users), sum(u.age for u in users)) == (answer.user_count, answer.age_sum)
    assert answer.average_age == answer.age_sum / answer.user_count
    histogram = {bar.age: bar.user_count for bar in answer.histogram}
    assert Counter(u.age for u in users) == histogram
    assert sorted(histogram) == list(histogram)


def test_stream_average_age(stub: Any, users: list[UserRow]) -> None:
    """The last message is final and exact; its token leads to the same figures."""
    *_, last = stub.StreamAverageAge(pb.StreamAverageAgeRequest())
    *_, again = stub.StreamAverageAge(pb.StreamAverageAgeRequest(resume_token=last.resume_token))

    assert last.final
    assert (len(users), sum(u.age for u in users)) == (last.user_count, last.age_sum)
    assert (again.user_count, again.age_sum, again.final) == (last.user_count, last.age_sum, True)


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_partitions_hold_everyone_once(stub: Any, users: list[UserRow], count: int) -> None:
    """The partitions' streams in any order add up to the table; sizes differ by one at most."""
    request = pb.PartitionUsersRequest(partition_count=count)
    partitions = stub.PartitionUsers(request).partitions
    parts = [
        rows(list(stub.StreamUsers(pb.StreamUsersRequest(partition=p.partition))))
        for p in reversed(partitions)
    ]

    assert len(partitions) == count
    assert users == [user for part in reversed(parts) for user in part]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_partition_resumes(stub: Any) -> None:
    """A token within a partition stays within it, and belongs to it alone."""
    one, two = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=2)).partitions
    request = pb.StreamUsersRequest(partition=one.partition, max_users_per_message=50)
    whole = list(stub.StreamUsers(request))
    request.resume_token = whole[3].resume_token
    rest = list(stub.StreamUsers(request))
    request.partition = two.partition

    assert rows(whole[4:]) == rows(rest)
    assert rich_error(stub.StreamUsers(request)).info.reason == "INVALID_TOKEN"


def test_an_empty_table(own_stub: Any, seeded_url: str) -> None:
    """Each RPC has its empty answer."""
    execute(seeded_url, "DELETE FROM user_data")
    for request, call in (
        (pb.StreamUsersRequest(), own_stub.StreamUsers),
        (pb.BatchUsersRequest(), own_stub.BatchUsers),
    ):
        (only,) = call(request)
        assert (0, 0) == (len(only.users), only.receipt.user_count)
        assert only.HasField("receipt")
    (page,) = own_stub.Paginate(pb.PaginateRequest())
    assert (0, "", 1) == (len(page.users), page.next_page_token, page.page_number)
    average = own_stub.AverageAge(pb.AverageAgeRequest())
    assert (0, False) == (average.user_count, average.HasField("average_age"))
    (final,) = own_stub.StreamAverageAge(pb.StreamAverageAgeRequest())
    assert (True, False) == (final.final, final.HasField("average_age"))
    assert len(own_stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=9)).partitions) == 1


def test_snapshot(stub: Any, users: list[UserRow]) -> None:
    """A SNAPSHOT stream says so in its receipt."""
    request = pb.StreamUsersRequest(consistency=pb.CONSISTENCY_SNAPSHOT)
    messages = list(stub.StreamUsers(request))

    assert users == rows(messages)
    assert messages[-1].receipt.consistency == pb.CONSISTENCY_SNAPSHOT


BAD = [
    ("StreamUsers", pb.StreamUsersRequest(limit=-1), "limit"),
    ("StreamUsers", pb.StreamUsersRequest(consistency=9), "consistency"),  # type: ignore[arg-type]
    ("BatchUsers", pb.BatchUsersRequest(batch_size=10_001), "batch_size"),
    ("Paginate", pb.PaginateRequest(offset=1, page_token="x"), "offset"),
    ("AverageAge", pb.AverageAgeRequest(filter=pb.UserFilter(age_over=2**62)), "filter.age_over"),
    ("StreamAverageAge", pb.StreamAverageAgeRequest(resume_token="x"), "resume_token"),
    ("PartitionUsers", pb.PartitionUsersRequest(), "partition_count"),
]


@pytest.mark.parametrize(("rpc", "request_", "field"), BAD)
def test_bad_requests(stub: Any, rpc: str, request_: Any, field: str) -> None:
    """INVALID_ARGUMENT with ErrorInfo and the field in BadRequest, from each RPC."""
    error = rich_error(lambda: [*_iterate(getattr(stub, rpc)(request_))])

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.info.domain == "userstream"
    assert error.info.reason in {"INVALID_REQUEST", "INVALID_TOKEN"}
    assert [field] == error.fields


@pytest.mark.parametrize("rpc", ["StreamUsers", "BatchUsers", "Paginate", "StreamAverageAge"])
@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x12\x02\xff\xfe", b"\x0a\x7f"])
def test_malformed_bytes(shared_server: ServerProcess, rpc: str, raw: bytes) -> None:
    """Broken protobuf and text that is not UTF-8 are INVALID_ARGUMENT too."""
    with grpc.insecure_channel(shared_server.target) as channel:
        call: Any = channel.unary_stream(f"/userstream.v1.UserService/{rpc}")
        error = rich_error(call(raw))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.info.reason == "MALFORMED_REQUEST"


def test_a_token_of_another_rpc(stub: Any) -> None:
    """BatchUsers refuses StreamUsers's token."""
    first = next(iter(stub.StreamUsers(pb.StreamUsersRequest())))
    error = rich_error(stub.BatchUsers(pb.BatchUsersRequest(resume_token=first.resume_token)))

    assert error.info.reason == "INVALID_TOKEN"


def test_a_table_that_goes_missing(own_stub: Any, seeded_url: str) -> None:
    """FAILED_PRECONDITION with a reason, and no SQL or driver text."""
    execute(seeded_url, "DROP TABLE user_data")
    error = rich_error(own_stub.StreamUsers(pb.StreamUsersRequest()))

    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert error.info.reason in {"TABLE_MISSING", "TABLE_SHAPE"}
    assert " FROM " not in error.message


def test_an_unknown_method(shared_server: ServerProcess) -> None:
    """A method we do not have is UNIMPLEMENTED."""
    with grpc.insecure_channel(shared_server.target) as channel:
        call: Any = channel.unary_unary("/userstream.v1.UserService/DeleteUsers")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"")

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def _iterate(answer: Any) -> list[Any]:
    return list(answer) if hasattr(answer, "__iter__") else [answer]
