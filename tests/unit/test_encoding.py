"""The bytes we write are the bytes protobuf writes."""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import PreconditionError
from userstream_server.rows import encoding
from userstream_server.rows.fields import ALL_FIELDS, in_order
from userstream_server.rows.types import EncodedUsers, RawRow

AGE_MAX = 9_999_999_999
KEY = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
users = st.tuples(
    st.uuids().map(str),
    st.text(max_size=300),
    st.text(max_size=300),
    st.integers(-AGE_MAX, AGE_MAX),
)


def raw(user: tuple[str, str, str, int]) -> RawRow:
    user_id, name, email, age = user
    return user_id.encode(), name.encode(), email.encode(), str(age).encode()


def expected(rows: list[tuple[str, str, str, int]]) -> bytes:
    """Let protobuf itself serialise the users."""
    response = pb.StreamUsersResponse()
    for user_id, name, email, age in rows:
        response.users.add(user_id=user_id, name=name, email=email, age=age)
    return response.SerializeToString()


@given(st.lists(users, max_size=20))
def test_any_users(rows: list[tuple[str, str, str, int]]) -> None:
    """Any users, emoji and NULs among them, are encoded as protobuf encodes them."""
    encoded = encoding.encode_users([raw(row) for row in rows])

    assert expected(rows) == encoded


@pytest.mark.parametrize("text", ["a", "\0", "é", "🌻"])
def test_every_length(text: str) -> None:
    """Every length from 0 to 2,100 characters, across each border of the varints, in both text fields."""
    rows = [(KEY, text * n, text * (2100 - n), 25) for n in range(2101)]

    assert expected(rows) == encoding.encode_users([raw(row) for row in rows])


def test_lengths_beyond_any_column() -> None:
    """Texts of tens of thousands of bytes still get the right prefixes."""
    rows = [(KEY, "x" * n, "y" * n, 1) for n in (16_383, 16_384, 40_000, 2_097_152)]

    assert expected(rows) == encoding.encode_users([raw(row) for row in rows])


def test_every_border_of_an_age() -> None:
    """Ages from the least to the largest DECIMAL(10,0), at each border of the varints."""
    borders = {
        sign * (2**bits + near) for bits in range(34) for near in (-1, 0, 1) for sign in (1, -1)
    }
    ages = [*sorted(age for age in borders if abs(age) <= AGE_MAX), AGE_MAX, -AGE_MAX, 0]
    rows = [(KEY, "n", "e", age) for age in ages]

    assert expected(rows) == encoding.encode_users([raw(row) for row in rows])


def test_ages_beyond_the_ready_ones() -> None:
    """A block may hold ages that have no ready encoding, and digits as ZEROFILL writes them."""
    rows = [(KEY, "n", "e", age) for age in range(2_000)]
    padded = [(KEY.encode(), b"n", b"e", b"%010d" % age) for *_, age in rows]

    assert expected(rows) == encoding.encode_users([raw(row) for row in rows])
    assert expected(rows) == encoding.encode_users(padded)


@given(st.text(max_size=300))
def test_user_ids_of_other_lengths(user_id: str) -> None:
    """A user_id need not have 36 characters."""
    row = (user_id, "n", "e", 1)

    assert expected([row]) == encoding.encode_users([raw(row)])


def test_blocks_are_encoded_as_they_are_read() -> None:
    """Each block with its number of users, their ids joined and the last of them."""
    blocks = [[raw((f"id {n}", "n", "e", 1)) for n in numbers] for numbers in ([1, 2, 3], [4])]
    reading = (block for block in blocks)

    assert [
        EncodedUsers(encoding.encode_users(blocks[0]), 3, b"id 1id 2id 3", b"id 3"),
        EncodedUsers(encoding.encode_users(blocks[1]), 1, b"id 4", b"id 4"),
    ] == list(encoding.encode_blocks(reading))


@given(st.lists(users, max_size=20), st.lists(st.sampled_from(ALL_FIELDS)).map(in_order))
def test_some_fields(rows: list[tuple[str, str, str, int]], fields: tuple[str, ...]) -> None:
    """Users of whom only some fields were read are those that protobuf writes with the others unset."""
    response = pb.StreamUsersResponse()
    for row in rows:
        named = dict(zip(ALL_FIELDS, row, strict=True))
        response.users.add(**{name: named[name] for name in fields})
    columns = [ALL_FIELDS.index(name) for name in fields]
    read = [tuple(raw(row)[column] for column in columns) for row in rows]
    encoded = encoding.encode_blocks((block for block in [read] if block), fields)

    assert response.SerializeToString() == b"".join(block.users for block in encoded)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ((b"x2", None, b"e", b"1"), "its name is NULL"),
        ((None, b"n", b"e", b"1"), "its user_id is NULL"),
        ((b"x2", b"n", b"e", None), "its age is NULL"),
        ((b"x2", b"n", b"e", b"1.5"), "its age is not a whole number"),
        ((b"", b"n", b"e", b"1"), "its user_id is empty"),
        (("é".encode(), b"n", b"e", b"1"), "its user_id has characters"),
        ((b"a\x7f", b"n", b"e", b"1"), "its user_id has characters"),
        ((b"a\x1f", b"n", b"e", b"1"), "its user_id has characters"),
        ((b"x2", b"\xff", b"e", b"1"), "its name is not valid UTF-8"),
        ((b"x2", b"n", b"\xc3", b"1"), "its email is not valid UTF-8"),
    ],
)
def test_a_row_that_cannot_be_sent(row: Any, fault: str) -> None:
    """Its block is refused, not only the row, and the error says what is wrong with it."""
    fits = raw(("x1", "n", "e", 1))
    with pytest.raises(PreconditionError, match=f"cannot be sent: {fault}"):
        list(encoding.encode_blocks(block for block in [[fits, row, fits]]))


@pytest.mark.parametrize("cut", [(b"\xf0\x9f", b"\x8c\xbb"), (b"\xc3", b"\xa9")])
def test_texts_that_complete_each_other(cut: tuple[bytes, bytes]) -> None:
    """Halves of a character in two rows are no text, in either column."""
    first, second = cut
    for rows in (
        [(b"x1", first, b"", b"1"), (b"x2", second, b"", b"1")],
        [(b"x1", b"", first, b"1"), (b"x2", b"", second, b"1")],
    ):
        with pytest.raises(PreconditionError, match=r"is not valid UTF-8 \(user_id x1\)"):
            list(encoding.encode_blocks(block for block in [rows]))


def test_ids_of_all_printable_ascii() -> None:
    """From the space to the tilde; names and e-mail addresses may be empty, and hold anything in UTF-8."""
    ids = "".join(map(chr, range(0x20, 0x7F)))
    rows = [raw((ids, "", "", 1)), raw((" ", "é\n", "\x7f🌻", 1)), raw(("~", "é", "", 1))]
    (block,) = encoding.encode_blocks(block for block in [rows])

    assert (f"{ids} ~".encode(), b"~") == (block.user_ids, block.last_user_id)


def test_leaving_early_closes_what_is_read() -> None:
    """The connection behind the rows is free again."""
    closed = []

    def rows() -> Generator[list[RawRow]]:
        try:
            while True:
                yield [raw((KEY, "n", "e", 1))]
        finally:
            closed.append(True)

    reading = rows()  # held here, so that only closing it ends it
    encoded = encoding.encode_blocks(reading)
    next(encoded)
    encoded.close()

    assert [True] == closed


def test_a_whole_message() -> None:
    """Users and the other fields together are what protobuf would have written."""
    rows = [(KEY, "Ada", "ada@example.com", 36)]
    whole = pb.StreamUsersResponse.FromString(expected(rows))
    whole.resume_token = "t"
    whole.receipt.user_count = 1
    rest = pb.StreamUsersResponse(resume_token="t", receipt=pb.StreamReceipt(user_count=1))

    assert whole.SerializeToString() == encoding.message(
        encoding.encode_users([raw(rows[0])]), rest
    )
