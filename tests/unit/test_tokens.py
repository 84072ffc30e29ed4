"""Tokens come back whole, or not at all."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import InvalidRequestError
from userstream_server.rpc.tokens import (
    KeyRange,
    Position,
    decode_partition,
    decode_token,
    encode_partition,
    encode_token,
    fingerprint,
)

BOUND = fingerprint("StreamUsers", pb.UserFilter(age_over=25), 10)
TOKEN = encode_token(BOUND, Position("0b0e0a36-5d6c-4a4f-8f0e-0123456789ab", 7, 0xDEADBEEF))
u32, count = st.integers(0, 2**32 - 1), st.integers(0, 2**62)
keys = st.uuids().map(str)
at_the_start = st.builds(Position, st.none(), st.just(0), u32)


@given(
    at_the_start
    | st.builds(
        Position,
        keys,
        count,
        u32,
        st.integers(0, 2**31 - 2),
        count,
        count,
        st.integers(-(2**62), 2**62),
        u32,
    )
)
def test_round_trip(position: Position) -> None:
    """A position comes back as it was, with one resume more."""
    back = decode_token("resume_token", encode_token(BOUND, position), BOUND)

    assert position.resumed_count + 1 == back.resumed_count
    assert (position.after, position.user_count, position.age_sum, position.order) == (
        back.after,
        back.user_count,
        back.age_sum,
        back.order,
    )


def test_no_token_is_the_start() -> None:
    """An empty token begins at the start, not resumed."""
    assert Position() == decode_token("resume_token", "", BOUND)


def test_every_flipped_bit() -> None:
    """Each single bit flipped in the token's text is refused."""
    for index in range(len(TOKEN) * 8):
        raw = bytearray(TOKEN.encode())
        raw[index // 8] ^= 1 << index % 8
        with pytest.raises(InvalidRequestError):
            decode_token("resume_token", raw.decode("latin-1"), BOUND)


def test_every_truncation_and_extension() -> None:
    """Each shorter text, and a longer one, is refused."""
    for text in [TOKEN[:n] for n in range(1, len(TOKEN))] + [TOKEN + "A", TOKEN + "=", " " + TOKEN]:
        with pytest.raises(InvalidRequestError):
            decode_token("resume_token", text, BOUND)


@given(st.binary(max_size=200))
def test_forged(raw: bytes) -> None:
    """Random bytes in the right alphabet are refused."""
    with pytest.raises(InvalidRequestError):
        decode_token(
            "resume_token", base64.urlsafe_b64encode(raw + b"x").rstrip(b"=").decode(), BOUND
        )


@pytest.mark.parametrize(
    "other",
    [
        fingerprint("BatchUsers", pb.UserFilter(age_over=25), 10),
        fingerprint("StreamUsers", pb.UserFilter(age_over=26), 10),
        fingerprint("StreamUsers", pb.UserFilter(), 10),
        fingerprint("StreamUsers", pb.UserFilter(age_over=25), 11),
    ],
)
def test_of_another_request(other: bytes) -> None:
    """A token of another RPC, filter or limit is refused, and the error says which field."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_token("resume_token", TOKEN, other)

    assert caught.value.reason == "INVALID_TOKEN"
    assert caught.value.violations[0].field == "resume_token"


def test_fingerprints_keep_parts_apart() -> None:
    """Moving a character from one field to the next makes another fingerprint."""
    assert fingerprint("R", "ab", "c") != fingerprint("R", "a", "bc")


@given(st.builds(KeyRange, st.none() | keys, st.none() | keys, u32))
def test_partitions_round_trip(made: KeyRange) -> None:
    """A key range comes back as it was."""
    assert made == decode_partition("partition", encode_partition(made))


def test_a_token_is_no_partition_and_the_other_way_round() -> None:
    """One kind cannot be used for the other."""
    with pytest.raises(InvalidRequestError):
        decode_partition("partition", TOKEN)
    with pytest.raises(InvalidRequestError):
        decode_token("resume_token", encode_partition(KeyRange()), BOUND)
