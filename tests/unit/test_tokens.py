"""Tokens come back whole, or not at all."""

import base64
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import InvalidRequestError
from userstream_server.rows.freshness import UNKNOWN, Freshness
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
KEY = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
TOKEN = encode_token(BOUND, Position(KEY, 7, 0xDEADBEEF))
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
        st.none() | st.builds(Freshness, st.binary(max_size=512), st.booleans()),
    )
)
def test_round_trip(position: Position) -> None:
    """A position comes back as it was, with one resume more."""
    back = decode_token("resume_token", encode_token(BOUND, position), BOUND)

    assert replace(position, resumed_count=position.resumed_count + 1) == back


@pytest.mark.parametrize(("is_kept", "flag"), [(True, b"\x01"), (False, b"\0")])
def test_what_is_written_of_freshness(flag: bytes, *, is_kept: bool) -> None:
    """Version 3: the order, whether the scan never went back, and the database's position with its length."""
    head = b"\x03" + body_of(encode_token(BOUND, Position(KEY, 7)))[1:HEAD_BYTES]
    body = head + b"\xfe\xdc\xba\x98" + flag + b"\0\x03gno" + KEY.encode()
    fresh = Freshness(b"gno", is_kept)
    position = Position(KEY, 7, order=0xFEDCBA98, freshness=fresh)

    assert sealed(body) == encode_token(BOUND, position)
    assert replace(position, resumed_count=1) == decode_token("t", sealed(body), BOUND)
    assert (fresh, UNKNOWN) == (position.read_before, Freshness(is_kept=False))
    with pytest.raises(InvalidRequestError):
        decode_token("t", sealed(head + b"\xfe\xdc\xba\x98" + flag + b"\0"), BOUND)


def test_what_a_resumed_scan_has_read() -> None:
    """A new scan has read nothing; a token that does not say how new its data was leaves that unknown."""
    fresh = Freshness(b"position")
    old = decode_token("resume_token", TOKEN, BOUND)
    new = decode_token("resume_token", encode_token(BOUND, Position(KEY, freshness=fresh)), BOUND)

    assert Freshness(b"", is_kept=True) == Freshness()
    assert Position().read_before is None
    assert UNKNOWN == old.read_before
    assert fresh == new.read_before


def test_a_thousand_tokens() -> None:
    """Each comes back, whatever its last character, and is safe in URLs and shells."""
    for number in range(1000):
        token = encode_token(BOUND, Position(KEY, number))

        assert number == decode_token("resume_token", token, BOUND).user_count
        assert token.replace("-", "").replace("_", "").isalnum()


def test_no_token_is_the_start() -> None:
    """An empty token begins at the start, not resumed."""
    start = decode_token("resume_token", "", BOUND)

    assert Position() == start == Position(None, 0, 0, 0, 0, 0, 0)


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


def sealed(body: bytes) -> str:
    """Return a token with a right checksum, whatever its body holds."""
    raw = body + crc32(body).to_bytes(4, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def body_of(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:-4]


HEAD_BYTES = len(body_of(TOKEN)) - len(KEY)
NOT_OURS = "not a token of this service"
NO_PARTITION = "not a partition; take one from PartitionUsers"
DAMAGED = "damaged; send it as it was received"
OTHER_REQUEST = "belongs to another request; send the fields of the call that made it"


@pytest.mark.parametrize(
    ("token", "description"),
    [
        (sealed(b"\0" + body_of(TOKEN)[1:]), NOT_OURS),
        (sealed(b"\x09" + body_of(TOKEN)[1:]), NOT_OURS),  # a later version
        (sealed(body_of(TOKEN)[: HEAD_BYTES - 1]), NOT_OURS),
        (sealed(b""), NOT_OURS),
        (sealed(b"\x02" + body_of(TOKEN)[1:HEAD_BYTES] + b"abc"), NOT_OURS),  # without its order
        (sealed(body_of(TOKEN) + b"\n"), NOT_OURS),
        (sealed(body_of(TOKEN) + b"\xff"), NOT_OURS),
        (TOKEN[:-2], DAMAGED),
        (TOKEN + "é", DAMAGED),
        ("AAA", DAMAGED),
        (encode_token(b"8 others", Position()), OTHER_REQUEST),
    ],
)
def test_what_is_wrong_with_a_token(token: str, description: str) -> None:
    """Each kind of refusal names the field and says what is wrong; a right checksum alone is not enough."""
    assert TOKEN == sealed(body_of(TOKEN))
    with pytest.raises(InvalidRequestError) as caught:
        decode_token("page_token", token, BOUND)

    assert "INVALID_TOKEN" == caught.value.reason
    assert f"page_token: {description}" == caught.value.message


def test_what_is_written_for_another_order() -> None:
    """Version 2, and the order in four bytes before the key, or in eight digits behind the range."""
    order = 0xFEDCBA98
    head = b"\x02" + body_of(encode_token(BOUND, Position(KEY, 7)))[1:HEAD_BYTES]
    token = sealed(head + b"\xfe\xdc\xba\x98" + KEY.encode())
    partition = sealed(b"userstream partition 2\0a\0b\0fedcba98")

    assert token == encode_token(BOUND, Position(KEY, 7, order=order))
    assert Position(KEY, 7, resumed_count=1, order=order) == decode_token("t", token, BOUND)
    assert partition == encode_partition(KeyRange("a", "b", order))
    assert KeyRange("a", "b", order) == decode_partition("p", partition)


MOST = Position(KEY, 2**62, 2**32 - 1, 2**31 - 2, 2**62, 2**62, 2**62)


def test_the_largest_figures_are_taken() -> None:
    """Every figure up to its limit is one that a server may have written."""
    back = decode_token("resume_token", encode_token(BOUND, MOST), BOUND)

    assert replace(MOST, resumed_count=2**31 - 1) == back


@pytest.mark.parametrize(
    "beyond",
    [
        replace(MOST, user_count=2**62 + 1),
        replace(MOST, estimated_users=2**62 + 1),
        replace(MOST, page_number=2**62 + 1),
        replace(MOST, resumed_count=2**31 - 1),
    ],
)
def test_figures_beyond_their_limits_are_refused(beyond: Position) -> None:
    """One more than the limit would overflow a response's field, now or in the rest of the scan."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_token("resume_token", encode_token(BOUND, beyond), BOUND)

    assert f"resume_token: {NOT_OURS}" == caught.value.message


@pytest.mark.parametrize(
    ("partition", "description"),
    [
        (TOKEN, NO_PARTITION),
        (sealed(b"userstream partition 9\0a\0b"), NO_PARTITION),
        (sealed(b"userstream partition 1\0a"), NO_PARTITION),
        (sealed(b"userstream partition 1\0a\0b\x0000000001"), NO_PARTITION),
        (sealed(b"userstream partition 2\0a\0b"), NO_PARTITION),
        (sealed(b"userstream partition 2\0a\0b\x000000001"), NO_PARTITION),
        (sealed(b"userstream partition 2\0a\0b\x000000000G"), NO_PARTITION),
        (sealed(b"userstream partition 1\0\n\0"), NOT_OURS),
        (sealed(b"userstream partition 1\0\0\xff"), NOT_OURS),
        (sealed(b"userstream partition 1\0\0")[:-1], DAMAGED),
    ],
)
def test_what_is_wrong_with_a_partition(partition: str, description: str) -> None:
    """Each kind of refusal names the field and says what is wrong."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_partition("partition", partition)

    assert "INVALID_TOKEN" == caught.value.reason
    assert f"partition: {description}" == caught.value.message


def test_open_ends() -> None:
    """No partition is the whole table; a partition may be open at either end."""
    assert (None, None) == decode_partition("partition", "")[:2]
    for ends in [(None, None), ("a", None), (None, "b")]:
        body = b"\0".join([b"userstream partition 1", *((end or "").encode() for end in ends)])

        assert ends == decode_partition("partition", sealed(body))[:2]
        assert sealed(body) == encode_partition(KeyRange(*ends))


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
