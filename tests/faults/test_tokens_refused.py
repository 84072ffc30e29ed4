"""Fault 9: tokens that must be refused, of every call that gives or takes one."""

import base64
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess

CALLS = ("StreamUsers", "BatchUsers", "Paginate", "StreamAverageAge", "PartitionUsers")
SIZES = {
    "StreamUsers": {"max_users_per_message": 10},
    "BatchUsers": {"batch_size": 5},
    "Paginate": {"page_size": 5},
    "StreamAverageAge": {},
}
OTHER_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("StreamUsers", {"filter": pb.UserFilter(age_over=30)}),
    ("StreamUsers", {"filter": pb.UserFilter(age_up_to=30)}),
    ("StreamUsers", {"filter": pb.UserFilter(name_prefix="A")}),
    ("StreamUsers", {"filter": pb.UserFilter(email_domain="example.com")}),
    ("StreamUsers", {"limit": 77}),
    ("StreamUsers", {"consistency": pb.CONSISTENCY_SNAPSHOT}),
    ("BatchUsers", {"batch_size": 6}),
    ("BatchUsers", {"filter": pb.UserFilter(age_over=26)}),
    ("BatchUsers", {"limit": 77}),
    ("BatchUsers", {"consistency": pb.CONSISTENCY_SNAPSHOT}),
    ("Paginate", {"filter": pb.UserFilter(age_over=30)}),
    ("StreamAverageAge", {"filter": pb.UserFilter(age_over=30)}),
]
SAME_REQUEST: list[tuple[str, dict[str, Any]]] = [
    ("StreamUsers", {"filter": pb.UserFilter()}),
    ("StreamUsers", {"consistency": pb.CONSISTENCY_LIVE}),
    ("StreamUsers", {"max_users_per_message": 1}),
    ("BatchUsers", {"filter": pb.UserFilter(age_over=25)}),
    ("Paginate", {"page_size": 9}),
]


@pytest.fixture(scope="module")
def stub(small_servers: tuple[ServerProcess, ServerProcess]) -> Iterator[Any]:
    """Yield a stub for a server over 300 users."""
    with stub_for(small_servers[0].target) as opened:
        yield opened


@pytest.fixture(scope="module")
def tokens(stub: Any) -> dict[str, str]:
    """Return a token of each call, from the middle of its stream where it has one; and a partition."""
    (part,) = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=1)).partitions
    found = {"PartitionUsers": str(part.partition)}
    for name, size in SIZES.items():
        call = getattr(stub, name)(request(name, **size))
        message = next(call)
        call.cancel()
        field = "next_page_token" if name == "Paginate" else "resume_token"
        found[name] = str(getattr(message, field))
    return found


def request(name: str, **fields: Any) -> Any:
    return getattr(pb, f"{name}Request")(**fields)


def with_token(stub: Any, taker: str, token: str, **fields: Any) -> Any:
    """Call with a token in the field where the call takes it; PartitionUsers stands for `partition`."""
    if taker == "PartitionUsers":
        return stub.StreamUsers(request("StreamUsers", partition=token))
    field = "page_token" if taker == "Paginate" else "resume_token"
    return getattr(stub, taker)(request(taker, **SIZES[taker] | {field: token} | fields))


def assert_refused(stub: Any, taker: str, token: str, **fields: Any) -> None:
    """Call with a token that must be INVALID_ARGUMENT, by name of its field."""
    special = {"Paginate": "page_token", "PartitionUsers": "partition"}
    error = rich_error(with_token(stub, taker, token, **fields))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_TOKEN") == (error.code, error.info.reason)
    assert [special.get(taker, "resume_token")] == error.fields


of_some_calls = pytest.mark.parametrize(
    "name",
    [n if n == "StreamUsers" else pytest.param(n, marks=pytest.mark.long) for n in CALLS],
)


@of_some_calls
def test_every_flipped_bit(
    stub: Any, faults: FaultReport, tokens: dict[str, str], name: str
) -> None:
    """A token with any one bit of its content turned over is refused, and so is any changed character."""
    token = tokens[name]
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
            assert_refused(stub, name, text)


@pytest.mark.parametrize("name", CALLS)
def test_every_truncation(
    stub: Any, faults: FaultReport, tokens: dict[str, str], name: str
) -> None:
    """A token cut short, or with something behind it, is refused."""
    token = tokens[name]
    for text in [*(token[:n] for n in range(1, len(token))), token + "A", token + "=", token * 2]:
        with faults.round("9 token truncated or lengthened"):
            assert_refused(stub, name, text)


@pytest.mark.parametrize("taker", CALLS)
def test_tokens_of_another_call(
    stub: Any, faults: FaultReport, tokens: dict[str, str], taker: str
) -> None:
    """No call takes another one's token, nor one that was made up."""
    others = [token for name, token in tokens.items() if name != taker]
    for text in [*others, "made up", "A" * len(tokens[taker]), "\N{SNOWMAN}", "A" * 5_000]:
        with faults.round("9 token of another call, or forged"):
            assert_refused(stub, taker, text)


@pytest.mark.parametrize(("name", "fields"), OTHER_FIELDS)
def test_tokens_of_another_request(
    stub: Any, faults: FaultReport, tokens: dict[str, str], name: str, fields: dict[str, Any]
) -> None:
    """A token is refused with any other filter, limit, size of batch, or promise."""
    with faults.round("9 token of another request"):
        assert_refused(stub, name, tokens[name], **fields)


@pytest.mark.parametrize("name", ["StreamUsers", "BatchUsers"])
def test_tokens_of_another_partition(stub: Any, faults: FaultReport, name: str) -> None:
    """A token is refused with another key range than its own, and with none."""
    answer = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=2))
    one, two = (part.partition for part in answer.partitions)
    first = next(getattr(stub, name)(request(name, **SIZES[name], partition=one)))
    for other in (two, ""):
        with faults.round("9 token of another request"):
            assert_refused(stub, name, first.resume_token, partition=other)


@pytest.mark.parametrize(("name", "fields"), SAME_REQUEST)
def test_the_same_request_in_other_words(
    stub: Any, tokens: dict[str, str], name: str, fields: dict[str, Any]
) -> None:
    """A default that is written out, and what may change on a resume, leave a token as good as it was."""
    plain = list(with_token(stub, name, tokens[name]))
    other = list(with_token(stub, name, tokens[name], **fields))

    def ids(messages: list[Any]) -> list[str]:
        return [user.user_id for message in messages for user in message.users]

    assert ids(plain)
    assert ids(plain) == ids(other)
