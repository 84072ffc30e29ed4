"""What native_rows.c writes is what encoding.py and protobuf write, and it is used only where it fits."""

import ctypes
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream_server.databases.mysql import native_rows
from userstream_server.databases.mysql.native_library import LIBRARY, RowFetcher, load_library
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.rows import encoding
from userstream_server.rows.fields import ALL_FIELDS, in_order
from userstream_server.rows.types import EncodedUsers, RawRow

AGE_MAX = 9_999_999_999
KEY = b"0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
texts = st.text(max_size=300).map(str.encode)
ids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80)
users = st.tuples(
    ids.map(str.encode), texts, texts, st.integers(-AGE_MAX, AGE_MAX).map(b"%d".__mod__)
)
# Bytes of which about every other is text, so that each rule is met and broken.
near_texts = st.lists(
    st.sampled_from([b"", b"a", b" ", b"\x7f", b"\n", b"\0", "é".encode(), "🌻".encode()])
    | st.sampled_from([b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x82"])
    | st.binary(max_size=4),
    max_size=6,
).map(b"".join)
near_ids = ids.map(str.encode) | near_texts
near_ages = st.integers(-(2**70), 2**70).map(b"%d".__mod__) | st.sampled_from([b"", b"1.5", b"-"])
near_users = st.tuples(
    *(st.none() | column for column in (near_ids, near_texts, near_texts, near_ages))
)

some_fields = st.lists(st.sampled_from(ALL_FIELDS)).map(in_order)

OPTIONS = DatabaseOptions(DatabaseUrl.parse("mysql://user:password@127.0.0.1/users"))

FetchRow = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None and not LIBRARY.exists(),
    reason="no compiler here, so there is no native part",
)


class Result:
    """Rows as MySQL's client library hands them out: one at a time, values and lengths apart."""

    def __init__(self, rows: Sequence[Sequence[bytes | None]]) -> None:
        self._left = iter(rows)
        self._values = (ctypes.c_char_p * 4)()
        self._lengths = (ctypes.c_ulong * 4)()
        self._functions = FetchRow(self._fetch_row), FetchRow(self._fetch_lengths)
        # The sanitizers' test names a library of its own.
        library = load_library(Path(os.environ.get("NATIVE_ROWS_LIBRARY", LIBRARY)))
        assert library is not None, "the package is installed without its native part"
        addresses = [ctypes.cast(function, ctypes.c_void_p).value for function in self._functions]
        self.fetcher = RowFetcher(library, *(address or 0 for address in addresses))

    def fetch(self, rows: int, fields: tuple[str, ...] = ALL_FIELDS) -> EncodedUsers:
        return self.fetcher.fetch(0, rows, fields)

    def _fetch_row(self, _: object) -> int | None:
        row = next(self._left, None)
        if row is None:
            return None
        for n, value in enumerate(row):
            # A copy of exactly its length, so that reading past its end is seen.
            self._values[n] = None if value is None else ctypes.create_string_buffer(value).raw
            self._lengths[n] = len(value or b"")
        return ctypes.addressof(self._values)

    def _fetch_lengths(self, _: object) -> int:
        return ctypes.addressof(self._lengths)


def fetch_all(rows: Sequence[RawRow], at_once: int = 10_000) -> list[EncodedUsers]:
    """Fetch rows in blocks."""
    result = Result(rows)
    blocks = []
    while (block := result.fetch(at_once)).user_count:
        blocks.append(block)
    result.fetcher.close()
    return blocks


@given(st.lists(users, max_size=20), st.integers(1, 7))
def test_any_users(rows: list[RawRow], at_once: int) -> None:
    """Any users, emoji and NULs among them, in blocks of any size, are those that Python encodes."""
    blocks = [rows[first : first + at_once] for first in range(0, len(rows), at_once)]

    assert list(encoding.encode_blocks(block for block in blocks)) == fetch_all(rows, at_once)


@given(st.lists(users, max_size=20), some_fields)
def test_some_fields(rows: list[RawRow], fields: tuple[str, ...]) -> None:
    """Rows that hold only some fields are those that Python encodes."""
    columns = [ALL_FIELDS.index(name) for name in fields]
    read = [tuple(row[column] for column in columns) for row in rows]
    in_python = list(encoding.encode_blocks((block for block in [read] if block), fields))
    in_c = Result(read).fetch(100, fields)

    assert in_python == ([in_c] if rows else [])


@given(near_users, some_fields)
def test_unfit_rows_of_some_fields(row: tuple[bytes | None, ...], fields: tuple[str, ...]) -> None:
    """What was not read is not missed; what was read is refused with the same words."""
    read = tuple(row[ALL_FIELDS.index(name)] for name in fields)

    def outcome(read_row: Callable[[], EncodedUsers]) -> EncodedUsers | str:
        try:
            return read_row()
        except PreconditionError as error:
            return f"{error.reason}: {error.message}"

    in_python = outcome(lambda: next(encoding.encode_blocks((block for block in [[read]]), fields)))

    assert in_python == outcome(lambda: Result([read]).fetch(1, fields))


@pytest.mark.parametrize("text", ["a", "\0", "é", "🌻"])
def test_every_length(text: str) -> None:
    """Every length from 0 to 2,100 characters, across each border of the varints, in both text fields."""
    rows = [(KEY, (text * n).encode(), (text * (2100 - n)).encode(), b"25") for n in range(2101)]
    (block,) = fetch_all(rows)

    assert encoding.encode_users(rows) == block.users
    assert KEY * len(rows) == block.user_ids


def test_every_border_of_an_age() -> None:
    """Ages of up to 64 bits, at each border of the varints, and digits as ZEROFILL writes them."""
    borders = {
        sign * (2**bits + near) for bits in range(64) for near in (-1, 0, 1) for sign in (1, -1)
    }
    borders = {age for age in borders if -(2**63) <= age < 2**63}
    rows = [(KEY, b"n", b"e", b"%d" % age) for age in sorted(borders)]
    padded = [(KEY, b"n", b"e", b"%010d" % age) for age in range(2_000)]
    (block,) = fetch_all(rows + padded)

    assert encoding.encode_users(rows + padded) == block.users


def test_a_text_larger_than_any_column() -> None:
    """Buffers grow to what comes, in the middle of a block too."""
    rows = [(KEY, b"x" * n, b"y" * n, b"1") for n in (1, 16_384, 3_000_000, 2)]
    (block,) = fetch_all(rows)

    assert encoding.encode_users(rows) == block.users


def test_the_end_of_a_result() -> None:
    """Fewer rows than asked for, then none, are an end."""
    result = Result([(KEY, b"n", b"e", b"1")] * 3)

    assert [2, 1, 0] == [result.fetch(2).user_count for _ in range(3)]


@given(near_users)
def test_what_cannot_be_sent_is_refused_alike(row: tuple[bytes | None, ...]) -> None:
    """C and Python take the same rows, and refuse the others with the same words."""

    def outcome(read: Callable[[], EncodedUsers]) -> EncodedUsers | str:
        try:
            return read()
        except PreconditionError as error:
            return f"{error.reason}: {error.message}"

    in_python = outcome(lambda: next(encoding.encode_blocks(block for block in [[row]])))

    assert in_python == outcome(lambda: Result([row]).fetch(1))


@pytest.mark.parametrize("age", [b"", b"-", b"1.5", b"+1", b" 1", b"1e3", b"1-", None])
def test_what_is_no_age_is_refused(age: bytes | None) -> None:
    """Neither guessed nor left out."""
    with pytest.raises(PreconditionError, match="age is"):
        Result([(KEY, b"n", b"e", age)]).fetch(1)


@given(
    st.lists(st.integers(-5, 1100) | st.integers(-(2**63), 2**63 - 1), max_size=50),
    st.integers(1, 9),
)
def test_any_ages(ages: list[int], at_once: int) -> None:
    """Whatever the ages and the steps, they are counted as Python counts them."""
    result = Result([[b"%d" % age] for age in ages])
    counted, is_over, rows = Counter[int](), False, 0
    while not is_over:
        step, is_over = result.fetcher.count(0, at_once)
        counted.update(step)
        rows += at_once

        assert is_over or counted.total() == rows

    assert Counter(ages) == counted


def test_padded_ages() -> None:
    """Digits as ZEROFILL writes them, of any length, are the same ages."""
    result = Result([[b"%010d" % age] for age in range(2000)] + [[b"%065d" % 7]])

    assert (Counter(range(2000)) + Counter([7]), True) == result.fetcher.count(0, 10_000)


@pytest.mark.parametrize(
    "age", [b"", b"x", b"1.5", b"1" * 81, b"%d" % 2**63, b"%d" % (-(2**63) - 1), None]
)
def test_what_is_no_age_is_not_counted(age: bytes | None) -> None:
    """The count fails instead."""
    with pytest.raises(PreconditionError, match="age is"):
        Result([[age]]).fetcher.count(0, 10)


@pytest.mark.parametrize("column", range(3))
def test_null_is_refused(column: int) -> None:
    """No column of a user may be NULL."""
    row: list[bytes | None] = [KEY, b"n", b"e", b"1"]
    row[column] = None
    with pytest.raises(PreconditionError, match="NULL"):
        Result([row]).fetch(1)


def test_a_library_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    """Then there is none, and rows are read in Python."""
    (tmp_path / "broken.so").write_bytes(b"no library")

    assert load_library(tmp_path / "missing.so") is None
    assert load_library(tmp_path / "broken.so") is None


def test_an_unknown_driver_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a connection's inside was never looked at, nobody reaches into it."""
    for name, value in (("DRIVER_VERSION", "9.8.0"), ("_LEAST_OBJECT_BYTES", 10**6)):
        with monkeypatch.context() as patch:
            patch.setattr(native_rows, name, value)
            native_rows._load_client.cache_clear()

            assert not native_rows.can_read_natively(OPTIONS)
    native_rows._load_client.cache_clear()

    assert native_rows.can_read_natively(OPTIONS)
