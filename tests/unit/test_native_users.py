"""What native_users.c decodes is what protobuf decodes; what it does not know it leaves to protobuf."""

import gc
import os
import shutil
import struct
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_client import User
from userstream_client._decoding import decode_users
from userstream_client._messages import users_from
from userstream_client._native_users import LIBRARY, load_decoder
from userstream_client.errors import DataIntegrityError

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None and not LIBRARY.exists(),
    reason="no compiler here, so there is no native part",
)
# The sanitizers' test names a library of its own.
DECODER: Any = load_decoder(Path(os.environ.get("NATIVE_USERS_LIBRARY", LIBRARY)))

texts = st.text(max_size=200)
users = st.builds(
    pb.User, user_id=texts, name=texts, email=texts, age=st.integers(-(2**63), 2**63 - 1)
)
responses = st.builds(
    pb.StreamUsersResponse,
    users=st.lists(users, max_size=12),
    resume_token=st.text(max_size=50),
    progress=st.none() | st.builds(pb.StreamProgress, users_sent=st.integers(0, 2**40)),
    receipt=st.none() | st.builds(pb.StreamReceipt, user_count=st.integers(0, 2**40)),
)


def order_of(ids: list[str]) -> int:
    """Return what the library says of ids in this order."""
    pairs = list(pairwise(name.encode() for name in ids))
    return min([2, *(2 if a < b else int(a != b) for a, b in pairs)])


def from_columns(found: tuple[Any, ...]) -> list[tuple[str, str, str, int]]:
    """Return the users of columns, which must be as Arrow wants them."""
    _, _, ids, id_ends, names, name_ends, emails, email_ends, ages = found
    columns: list[list[Any]] = []
    for text, ends in ((ids, id_ends), (names, name_ends), (emails, email_ends)):
        borders = struct.unpack(f"={len(ends) // 4}i", ends)
        assert (borders[0], borders[-1]) == (0, len(text))
        columns.append([text[a:b].decode() for a, b in pairwise(borders)])
    columns.append(list(struct.unpack(f"={len(ages) // 8}q", ages)))
    return list(zip(*columns, strict=True))


def check(data: bytes) -> bool:
    """Hold both functions against protobuf; return whether they decoded the message."""
    found, columns = DECODER.tuples(data), DECODER.columns(data)
    assert (found is None) == (columns is None)
    if found is None:
        return False
    rest, order, user_ids, decoded = found
    try:
        message = pb.StreamUsersResponse.FromString(data)
    except DecodeError:
        # Then the damage is in the other fields, which protobuf decodes in any case.
        with pytest.raises(DecodeError):
            pb.StreamUsersResponse.FromString(rest)
        return False
    expected = users_from(message.users)
    assert expected == decoded == from_columns(columns)
    assert all(type(user) is User for user in decoded)
    ids = [user.user_id for user in expected]
    assert "".join(ids).encode() == user_ids == columns[2]
    assert order_of(ids) == order == columns[1]
    del message.users[:]
    assert message == pb.StreamUsersResponse.FromString(rest)
    assert rest == columns[0]
    return True


@given(responses)
def test_any_message(response: pb.StreamUsersResponse) -> None:
    """All that the server can send is decoded, and is what protobuf makes of it."""
    assert check(response.SerializeToString())


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Whatever arrives is decoded as protobuf does, or left to protobuf."""
    check(data)


@given(responses, st.data())
def test_damaged_messages(response: pb.StreamUsersResponse, data: st.DataObject) -> None:
    """Bytes changed, cut, inserted or doubled never give other users than protobuf's."""
    whole = bytearray(response.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole)))
        kind = data.draw(st.sampled_from(["change", "cut", "insert", "double"]))
        if kind == "change" and at < len(whole):
            whole[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del whole[at:]
        elif kind == "insert":
            whole[at:at] = data.draw(st.binary(max_size=12))
        else:
            whole[at:at] = whole[max(0, at - 8) : at]
    check(bytes(whole))


@given(st.lists(st.binary(max_size=8), max_size=8))
def test_pieces_of_messages(pieces: list[bytes]) -> None:
    """Fields in any order, several times, of any length, with and without content."""
    tags = [b"\x0a", b"\x12", b"\x1a", b"\x20", b"\x28", b"\x0b", b"\x0d", b"\x00"]
    data = b"".join(
        tags[n % len(tags)] + bytes([len(piece)]) + piece for n, piece in enumerate(pieces)
    )
    check(data)
    check(b"\x0a" + bytes([len(data)]) + data)


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"", True),
        (b"\x0a\x00", True),  # a user of defaults
        (b"\x0a\x06\x0a\x01a\x0a\x01b", True),  # the last of two user_ids counts
        (b"\x28\x01\x0a\x00", True),  # a field that is a number, as key_order is
        (b"\x0a\x04\x2a\x02hi", False),  # an unknown field in a user
        (b"\x0a\x03\x0a\x01\xff", False),  # not UTF-8
        (b"\x0a\x05\x0a\x03\xed\xa0\x80", False),  # a surrogate
        (b"\x0a\x04\x0a\x02\xc0\x80", False),  # an overlong zero
        (b"\x0a\x06\x0a\x04\xf4\x90\x80\x80", False),  # above U+10FFFF
        (b"\x0a\x06\x0a\x04\xf4\x8f\xbf\xbf", True),  # U+10FFFF itself
        (b"\x0a\x05\x0a\x7fabc", False),  # longer than its user
        (b"\x0a\x7fabc", False),  # longer than the message
        (b"\x0a\x86\x80\x80\x80\x80\x00\x0a\x01a", False),  # a length of six bytes
        (b"\x0a\x0b\x20" + b"\xff" * 9 + b"\x01", True),  # -1
        (b"\x0a\x0c\x20" + b"\xff" * 10 + b"\x01", False),  # eleven bytes
        (b"\x8a\x00\x00", False),  # a tag of two bytes
        (b"\x0b\x0c", False),  # a group
        (b"\x0d\x01\x02\x03\x04", False),  # 32 bits
    ],
)
def test_each_kind_of_field(data: bytes, decoded: bool) -> None:  # noqa: FBT001 - a case's outcome
    """What is known is decoded; what is not is left to protobuf."""
    assert decoded == check(data)


@pytest.mark.parametrize("text", ["a", "\0", "é", "🌻"])
def test_every_length(text: str) -> None:
    """Texts of every length across the borders of the varints."""
    made = [pb.User(user_id=text * n, name=text * (300 - n)) for n in range(301)]

    assert check(pb.StreamUsersResponse(users=made).SerializeToString())


def test_users_are_not_a_collectors_work() -> None:
    """A decoded user is no object that the garbage collector would look at; a million of them cost it nothing."""
    data = pb.StreamUsersResponse(users=[pb.User(user_id="a", age=7)]).SerializeToString()
    _, _, _, (user,) = DECODER.tuples(data)

    assert not gc.is_tracked(user)
    assert user == User("a", "", "", 7)
    assert hash(user) == hash(User("a", "", "", 7))
    assert user._replace(age=8).age == 8


def test_nothing_is_kept() -> None:
    """Decoded, declined and refused messages leave no reference to the type and no block of memory behind."""
    whole = pb.StreamUsersResponse(users=[pb.User(user_id="é" * 50)] * 50).SerializeToString()
    broken = whole[:-1] + b"\xff"
    for _ in range(3):  # caches fill
        (
            DECODER.tuples(whole),
            DECODER.columns(whole),
            DECODER.tuples(broken),
            DECODER.columns(broken),
        )
    references, blocks = sys.getrefcount(User), sys.getallocatedblocks()
    for _ in range(200):
        (
            DECODER.tuples(whole),
            DECODER.columns(whole),
            DECODER.tuples(broken),
            DECODER.columns(broken),
        )

    assert sys.getrefcount(User) - references < 10
    assert sys.getallocatedblocks() - blocks < 100


@pytest.mark.parametrize("argument", [None, "text", bytearray(b"\x0a\x00")])
def test_no_bytes(argument: Any) -> None:
    """Something else than bytes is a TypeError."""
    with pytest.raises(TypeError):
        DECODER.columns(argument)


def test_bytes_that_are_no_message() -> None:
    """The client says so, instead of an error of protobuf's."""
    with pytest.raises(DecodeError):
        pb.StreamUsersResponse.FromString(b"\x0a\x7fabc")
    with pytest.raises(DataIntegrityError, match="not a message of userstream"):
        decode_users(b"\x0a\x7fabc", "StreamUsers")
