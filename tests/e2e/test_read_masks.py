"""read_mask over a real server: only these fields travel, everything else is as without it."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from userstream.v1 import user_service_pb2 as pb
from userstream_server.rows.types import UserRow
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.server_process import ServerProcess

AGES = FieldMask(paths=["age"])
EVERYONE = pb.UserFilter(age_over=-1)
REQUESTS: list[tuple[str, Any]] = [
    ("StreamUsers", pb.StreamUsersRequest(max_users_per_message=100)),
    ("BatchUsers", pb.BatchUsersRequest(batch_size=100, filter=EVERYONE)),
    ("Paginate", pb.PaginateRequest(page_size=100)),
]


@pytest.fixture
def stub(shared_server: ServerProcess) -> Iterator[Any]:
    """Yield a plain stub."""
    with stub_for(shared_server.target) as opened:
        yield opened


def masked(request: Any, mask: FieldMask = AGES, **fields: Any) -> Any:
    """Return a copy of a request with a mask."""
    copy = type(request)(read_mask=mask, **fields)
    copy.MergeFrom(request)
    return copy


@pytest.mark.parametrize(("rpc", "request_"), REQUESTS)
def test_only_these_fields_travel(stub: Any, users: list[UserRow], rpc: str, request_: Any) -> None:
    """Ids and ages come, names and e-mail addresses do not; messages are about a third as large."""
    whole = list(getattr(stub, rpc)(request_))
    some = list(getattr(stub, rpc)(masked(request_)))
    sent = [user for message in some for user in message.users]

    assert [pb.User(user_id=u.user_id, age=u.age) for u in users] == sent
    assert [len(message.users) for message in whole] == [len(message.users) for message in some]
    assert sum(m.ByteSize() for m in some) < 0.7 * sum(m.ByteSize() for m in whole)


@pytest.mark.parametrize(("rpc", "request_"), REQUESTS[:2])
def test_the_receipt_is_the_same(stub: Any, rpc: str, request_: Any) -> None:
    """Count and CRC-32 are over the ids, so they do not depend on the fields."""
    *_, whole = getattr(stub, rpc)(request_)
    *_, some = getattr(stub, rpc)(masked(request_))

    assert whole.receipt == some.receipt


@pytest.mark.parametrize(("rpc", "request_"), REQUESTS)
def test_resumes_with_the_same_fields_only(stub: Any, rpc: str, request_: Any) -> None:
    """A token continues a call for the same fields, however they are written, and no other."""
    token_field = "page_token" if rpc == "Paginate" else "resume_token"
    first, *rest = getattr(stub, rpc)(masked(request_))
    token = first.next_page_token if rpc == "Paginate" else first.resume_token
    again = FieldMask(paths=["age", "user_id"])
    resumed = list(getattr(stub, rpc)(masked(request_, again, **{token_field: token})))
    others = [
        rich_error(getattr(stub, rpc)(masked(request_, mask, **{token_field: token})))
        for mask in (FieldMask(), FieldMask(paths=["name"]))
    ]

    assert [u for m in rest for u in m.users] == [u for m in resumed for u in m.users]
    assert [["INVALID_TOKEN"], ["INVALID_TOKEN"]] == [[error.info.reason] for error in others]


@pytest.mark.parametrize(("rpc", "request_"), REQUESTS)
def test_unknown_paths(stub: Any, rpc: str, request_: Any) -> None:
    """INVALID_ARGUMENT, and BadRequest names read_mask."""
    error = rich_error(getattr(stub, rpc)(masked(request_, FieldMask(paths=["phone"]))))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (["read_mask"], "INVALID_REQUEST") == (error.fields, error.info.reason)
    assert "phone" not in error.message
