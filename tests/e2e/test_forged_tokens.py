"""Whatever a sealed token or partition holds, a call ends OK within its limit, or with INVALID_TOKEN."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_server.rpc import tokens, validation
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.server_process import ServerProcess

LIMIT = 10
CASES: list[tuple[str, str, Any, Callable[[Any], Any]]] = [
    (
        "StreamUsers",
        "resume_token",
        pb.StreamUsersRequest(limit=LIMIT),
        validation.check_stream_users,
    ),
    ("BatchUsers", "resume_token", pb.BatchUsersRequest(limit=LIMIT), validation.check_batch_users),
    (
        "Paginate",
        "page_token",
        pb.PaginateRequest(page_size=LIMIT, page_limit=1),
        validation.check_paginate,
    ),
    (
        "StreamAverageAge",
        "resume_token",
        pb.StreamAverageAgeRequest(),
        validation.check_stream_average_age,
    ),
]
edges = st.sampled_from([0, 1, LIMIT, LIMIT + 1, 2**31 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
u64 = st.integers(0, 2**64 - 1) | edges
u32 = st.integers(0, 2**32 - 1) | st.sampled_from([0, 2**31 - 2, 2**31 - 1, 2**32 - 1])
keys = st.binary(max_size=40) | st.sampled_from([b"", b"0", b"~", b"a\0b", b"\xff"])
sums = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**62, 2**62 + 1, 2**63 - 1, -(2**63)])
figures = st.tuples(u64, u32, u32, u64, u64, sums)


def outcome_is_safe(call: Callable[[], Any]) -> bool:
    """Say whether a call ends OK with at most LIMIT users, or is refused for its token."""
    try:
        users = sum(len(getattr(message, "users", ())) for message in call())
    except grpc.RpcError as error:
        return bool(rich_error(error).info.reason == "INVALID_TOKEN")
    return users <= LIMIT


@pytest.mark.parametrize(("rpc", "field", "request_", "check"), CASES, ids=lambda v: str(v)[:20])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(forged=figures, key=keys)
def test_forged_tokens(
    shared_server: ServerProcess,
    rpc: str,
    field: str,
    request_: Any,
    check: Callable[[Any], Any],
    forged: tuple[int, ...],
    key: bytes,
) -> None:
    """A sealed token of any figures is answered within the limit or refused."""
    head = tokens._POSITION.pack(1, check(request_).bound_to, *forged)
    request = type(request_)()
    request.CopyFrom(request_)
    setattr(request, field, tokens._seal(head + key))
    with stub_for(shared_server.target) as stub:
        assert outcome_is_safe(lambda: getattr(stub, rpc)(request))


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case[0])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(after=keys, up_to=keys)
def test_forged_partitions(
    shared_server: ServerProcess, case: tuple[Any, ...], after: bytes, up_to: bytes
) -> None:
    """A sealed partition of any keys is answered within the limit or refused."""
    rpc, _, request_, _ = case
    sealed = tokens._seal(b"\0".join([tokens._PARTITION_MARK, after, up_to]))
    request = type(request_)(limit=LIMIT, partition=sealed)
    with stub_for(shared_server.target) as stub:
        assert outcome_is_safe(lambda: getattr(stub, rpc)(request))


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case[0])
def test_a_reached_limit(shared_server: ServerProcess, case: tuple[Any, ...]) -> None:
    """A token at its limit gives a receipt and no users."""
    rpc, _, request_, check = case
    position = tokens.Position("~", LIMIT)
    token = tokens.encode_token(check(request_).bound_to, position)
    request = type(request_)(limit=LIMIT, resume_token=token)
    with stub_for(shared_server.target) as stub:
        messages = list(getattr(stub, rpc)(request))

    assert [LIMIT] == [message.receipt.user_count for message in messages]
    assert not messages[0].users
