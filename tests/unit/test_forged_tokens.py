"""Tokens whose checksum is right but whose figures no server wrote: a checksum is no secret."""

from dataclasses import replace

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import InvalidRequestError
from userstream_server.rpc import tokens, validation
from userstream_server.rpc.tokens import Position, decode_partition, decode_token, encode_token

KEY = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
BOUND = b"12345678"
HONEST = Position(KEY, 7)
FORGED = [
    replace(HONEST, after=None),
    replace(HONEST, after="a\0b"),
    replace(HONEST, after="a\nb"),
    replace(HONEST, user_count=2**63),
    replace(HONEST, user_count=2**63 - 1),
    replace(HONEST, resumed_count=2**32 - 1),
    replace(HONEST, resumed_count=2**31 - 1),
    replace(HONEST, estimated_users=2**63),
    replace(HONEST, page_number=2**63),
    replace(HONEST, age_sum=2**63 - 1),
    replace(HONEST, age_sum=-(2**63)),
    Position(age_sum=1),
]


@pytest.mark.parametrize("forged", FORGED)
def test_impossible_figures_are_refused(forged: Position) -> None:
    """Figures that would overflow a response or break a query are an invalid token."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_token("resume_token", encode_token(BOUND, forged), BOUND)

    assert "INVALID_TOKEN" == caught.value.reason


@pytest.mark.parametrize("forged", [("a\xff", "b"), ("a", "b\n")])
def test_partitions_of_unprintable_keys_are_refused(forged: tuple[str, str]) -> None:
    """A partition holds printable ASCII keys only."""
    raw = b"\0".join([tokens._PARTITION_MARK, *(key.encode("latin-1") for key in forged)])
    with pytest.raises(InvalidRequestError) as caught:
        decode_partition("partition", tokens._seal(raw))

    assert "INVALID_TOKEN" == caught.value.reason


def resumed(user_count: int, limit: int) -> validation.StreamPlan:
    """Plan a resume of a limited StreamUsers after so many users."""
    request = pb.StreamUsersRequest(limit=limit)
    bound_to = validation.check_stream_users(request).bound_to
    request.resume_token = encode_token(bound_to, Position(KEY, user_count))
    return validation.check_stream_users(request)


def test_more_users_than_the_limit_are_refused() -> None:
    """A count above the limit would make LIMIT negative: an error on MySQL, every row on SQLite."""
    with pytest.raises(InvalidRequestError) as caught:
        resumed(11, limit=10)

    assert "INVALID_TOKEN" == caught.value.reason


def test_a_reached_limit_leaves_nothing() -> None:
    """A token at the limit stays valid, with no users left to read."""
    assert 0 == resumed(10, limit=10).scan.limit
