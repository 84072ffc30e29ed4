"""Rows to protobuf bytes: the place that knows the encoding of `repeated User`.

A row arrives as the four columns' raw bytes and leaves as one field `users` of a response: tag,
length and value pieces joined. That is several times cheaper than building message objects
(docs/performance.md), and equal to protobuf's own serialisation byte by byte
(tests/unit/test_encoding.py). `databases/mysql/native_rows.c` is the same in C, where it was built.

Source of the format: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, cast

from google.protobuf.message import Message

from userstream_server.errors import PreconditionError
from userstream_server.rows.fields import ALL_FIELDS, widened
from userstream_server.rows.row_check import check_rows, checked_age
from userstream_server.rows.types import EncodedUsers, RawRow

__all__ = ["encode_blocks", "encode_users", "message"]

_LENGTH_DELIMITED = 2
_VARINT = 0
_USERS = 1  # StreamUsersResponse.users, BatchUsersResponse.users and PaginateResponse.users
_USER_ID, _NAME, _EMAIL, _AGE = 1, 2, 3, 4

# 255 characters of four bytes each, and a user whose three texts are that long, have their prefix
# ready, and so have the ages that people reach; rows with other values (a table with wider columns)
# are reckoned one by one.
_READY_TEXT = 1021
_READY_USER = 3 * (_READY_TEXT + 3) + 11
_READY_AGES = 1000
_FREE_TEXTS = ("name", "email")
_PRINTABLE = bytes(range(0x20, 0x7F))


def _varint(number: int) -> bytes:
    """Encode a number of 0 to 2**64 - 1."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _prefix(field: int, length: int) -> bytes:
    """Return a field's tag and length."""
    return bytes([field << 3 | _LENGTH_DELIMITED]) + _varint(length)


def _text_prefixes(field: int) -> list[bytes]:
    """Return the prefixes of one text field by the value's length; proto3 leaves empty values out."""
    return [b"", *(_prefix(field, length) for length in range(1, _READY_TEXT))]


def _age_field(digits: bytes) -> bytes:
    """Return the field `age` for the column's decimal digits; proto3 leaves zero out."""
    age = checked_age(digits)
    return bytes([_AGE << 3 | _VARINT]) + _varint(age % 2**64) if age else b""


# Lists, not mappings with a default: indexing one by a number is the quickest look-up Python has.
_user_prefixes = [_prefix(_USERS, length) for length in range(_READY_USER)]
_user_id_prefixes, _name_prefixes, _email_prefixes = map(_text_prefixes, (_USER_ID, _NAME, _EMAIL))
_text_prefixes_of = {
    "user_id": _user_id_prefixes,
    "name": _name_prefixes,
    "email": _email_prefixes,
}
_ages = {digits: _age_field(digits) for digits in (b"%d" % age for age in range(_READY_AGES))}


def encode_blocks(
    blocks: Generator[list[Any]], fields: tuple[str, ...] = ALL_FIELDS
) -> Generator[EncodedUsers]:
    """Check and encode blocks of rows while they are read, hot in the processor's cache; closes `blocks`.

    Args:
        blocks: Rows with the columns of `fields`.
        fields: What was read of each user.

    Raises:
        PreconditionError: A row cannot be sent.
    """
    with closing(blocks):
        for rows in blocks:
            yield _encode_block(rows, fields)


def _encode_block(rows: Sequence[Sequence[bytes]], fields: tuple[str, ...]) -> EncodedUsers:
    try:
        users = encode_users(rows, fields)
        ids = [row[0] for row in rows]
        user_ids = b"".join(ids)
    except (TypeError, PreconditionError):  # a NULL, or an age that is none
        check_rows(widened(rows, fields))
        raise
    if not all(ids) or user_ids.translate(None, _PRINTABLE):
        check_rows(widened(rows, fields))
    # All texts of a block are checked at once, which is ten times quicker than one by one.
    texts = [place for place, name in enumerate(fields) if name in _FREE_TEXTS]
    if not users.isascii() and not all(_is_utf8([r[n] for r in rows]) for n in texts):
        check_rows(widened(rows, fields))
    return EncodedUsers(users, len(rows), user_ids, ids[-1])


def _is_utf8(texts: Iterable[bytes]) -> bool:
    """Return whether every text is valid UTF-8."""
    # The line feeds keep a cut character from being completed by the next text.
    try:
        b"\n".join(texts).decode()
    except UnicodeDecodeError:
        return False
    return True


def encode_users(rows: Sequence[Sequence[bytes]], fields: tuple[str, ...] = ALL_FIELDS) -> bytes:
    """Encode rows as the `users` fields of a response.

    Args:
        rows: The columns of `fields` as the database's own bytes: UTF-8 text, and age in decimal digits.
        fields: What was read of each user, in the order of `ALL_FIELDS`.

    Returns:
        A valid message on its own, to which other fields may be appended.

    Raises:
        TypeError: A value is NULL.
        PreconditionError: An age is not a whole number of 64 bits.
    """
    try:
        if fields == ALL_FIELDS:
            return _encode_usual(cast("Sequence[RawRow]", rows))
        return _encode_some(rows, fields)
    except LookupError:
        return b"".join(map(_encode_any, widened(rows, fields)))


def _encode_usual(rows: Sequence[RawRow]) -> bytes:
    """Encode rows whose values are all ready; LookupError where one is not."""
    # Bound to local names, and comprehensions: this runs once a row, a million times a second.
    ids, names, emails, ages = (
        _user_id_prefixes,
        _name_prefixes,
        _email_prefixes,
        _ages,
    )
    join = b"".join
    bodies = [
        join(
            (
                ids[len(user_id)],
                user_id,
                names[len(name)],
                name,
                emails[len(email)],
                email,
                ages[age],
            )
        )
        for user_id, name, email, age in rows
    ]
    return _behind_prefixes(bodies)


def _encode_some(rows: Sequence[Sequence[bytes]], fields: tuple[str, ...]) -> bytes:
    """Encode some columns of rows column by column; LookupError where a value is not ready."""
    pieces: list[Iterable[bytes]] = []
    for name, values in zip(fields, zip(*rows, strict=True), strict=False):
        if name == "age":
            pieces.append(map(_ages.__getitem__, values))
        else:
            pieces += [map(_text_prefixes_of[name].__getitem__, map(len, values)), values]
    return _behind_prefixes(list(map(b"".join, zip(*pieces, strict=True))))


def _behind_prefixes(bodies: list[bytes]) -> bytes:
    """Join bodies, each behind its own prefix, without a copy of it until the join."""
    users = _user_prefixes
    pieces = [b""] * (2 * len(bodies))
    pieces[::2] = [users[len(body)] for body in bodies]
    pieces[1::2] = bodies
    return b"".join(pieces)


def _encode_any(row: RawRow) -> bytes:
    """Encode one row of any lengths."""
    *texts, age = row
    fields = [_prefix(field, len(text)) + text for field, text in enumerate(texts, 1) if text]
    body = b"".join(fields) + _age_field(age)
    return _prefix(_USERS, len(body)) + body


def message(users: bytes, rest: Message) -> bytes:
    """Assemble a response from encoded users and a response message that holds its other fields."""
    return users + rest.SerializeToString()
