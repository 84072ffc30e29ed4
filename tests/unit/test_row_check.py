"""What a row must be so that it can be sent, and what the error says of one that cannot."""

import re
from collections import Counter
from collections.abc import Generator

import pytest
from userstream_server.errors import PreconditionError
from userstream_server.rows.ages import count_ages, decode_ages
from userstream_server.rows.row_check import check_rows, checked_age, checked_id, unfit_row
from userstream_server.rows.types import RawAge

Row = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
FITS: Row = (b"x1", "Zoë".encode(), b"", b"30")


def message(fault: str, which: str = "") -> str:
    """Return the whole error text."""
    return f"user_data has a row that cannot be sent: {fault}{which}. Correct or delete that row."


@pytest.mark.parametrize(
    "age", [b"0", b"-1", b"0000000030", b"-0", b"%d" % (2**63 - 1), b"%d" % -(2**63)]
)
@pytest.mark.parametrize(
    "user_id", [b" ", b"~", b"x" * 1000, b"0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"]
)
def test_rows_that_fit(user_id: bytes, age: bytes) -> None:
    """Ids of printable ASCII, any UTF-8, also empty, and ages of 64 bits."""
    assert unfit_row((user_id, "🌻\0".encode(), b"", age)) is None
    assert user_id.decode() == checked_id(user_id)
    assert int(age) == checked_age(age)


IDS: list[tuple[bytes | None, str]] = [
    (None, "its user_id is NULL, or not text"),
    (b"", "its user_id is empty"),
    (b"a\x1f", "its user_id has characters other than printable ASCII"),
    (b"\x7fa", "its user_id has characters other than printable ASCII"),
    ("é".encode(), "its user_id has characters other than printable ASCII"),
]
AGES: list[tuple[bytes | None, str]] = [
    (None, "its age is NULL, or not a whole number"),
    (b"", "its age is not a whole number"),
    (b"-", "its age is not a whole number"),
    (b"1.5", "its age is not a whole number"),
    (b"+1", "its age is not a whole number"),
    (b"1 ", "its age is not a whole number"),
    (b"1" * 101, "its age is not a whole number"),
    (b"1" * 100, "its age is beyond 64 bits"),
    (b"%d" % 2**63, "its age is beyond 64 bits"),
    (b"%d" % (-(2**63) - 1), "its age is beyond 64 bits"),
]
TEXTS: list[tuple[bytes | None, str]] = [
    (None, "is NULL, or not text"),
    (b"\xff", "is not valid UTF-8"),
    (b"\xed\xa0\x80", "is not valid UTF-8"),
]


@pytest.mark.parametrize(("user_id", "fault"), IDS)
def test_ids_that_do_not_fit(user_id: bytes | None, fault: str) -> None:
    """The error says what is wrong; such an id is not shown."""
    with pytest.raises(PreconditionError) as caught:
        checked_id(user_id)
    error = unfit_row((user_id, b"n", b"e", b"1"))

    assert error is not None
    assert ("TABLE_ROW", message(fault)) == (error.reason, error.message)
    assert ("TABLE_ROW", message(fault)) == (caught.value.reason, caught.value.message)


@pytest.mark.parametrize(("age", "fault"), AGES)
def test_ages_that_do_not_fit(age: bytes | None, fault: str) -> None:
    """The error says which row, where the id is known."""
    with pytest.raises(PreconditionError) as caught:
        checked_age(age)
    error = unfit_row((b"x1", b"n", b"e", age))

    assert error is not None
    assert message(fault, " (user_id x1)") == error.message
    assert message(fault) == caught.value.message


@pytest.mark.parametrize(("text", "fault"), TEXTS)
def test_texts_that_do_not_fit(text: bytes | None, fault: str) -> None:
    """The error names the column."""
    name, email = unfit_row((b"x1", text, b"e", b"1")), unfit_row((b"x1", b"n", text, b"1"))

    assert name is not None
    assert email is not None
    assert message(f"its name {fault}", " (user_id x1)") == name.message
    assert message(f"its email {fault}", " (user_id x1)") == email.message


@pytest.mark.parametrize(
    ("user_id", "which"),
    [
        ("x" * 64, f" (user_id {'x' * 64})"),
        ("Az-09", " (user_id Az-09)"),
        ("x" * 65, ""),
        ("a@b.c", ""),
        ("Ada Lovelace", ""),
        ("", ""),
    ],
)
def test_ids_that_may_be_shown(user_id: str, which: str) -> None:
    """Those that look like a UUID or a number; any other could be an e-mail address or a name."""
    error = unfit_row((user_id.encode(), None, b"e", b"1"))
    fault = "its user_id is empty" if not user_id else "its name is NULL, or not text"

    assert error is not None
    assert message(fault, which) == error.message


def test_the_first_row_that_does_not_fit() -> None:
    """Rows are checked in order; a row's fault is the first of its columns."""
    check_rows([FITS, FITS])

    with pytest.raises(PreconditionError, match=r"its email is not valid UTF-8 \(user_id x2\)"):
        check_rows([FITS, (b"x2", b"n", b"\xff", None), (b"", None, None, None)])


def blocks(*ages: list[RawAge]) -> Generator[list[RawAge]]:
    yield from ages


def test_ages_are_counted() -> None:
    """Over all blocks, however their digits are written; nothing at all is one empty count."""
    assert [Counter({30: 3, -1: 1})] == list(
        count_ages(blocks([(b"30",), (b"-1",)], [(b"030",), (b"30",)]))
    )
    assert [Counter()] == list(count_ages(blocks()))
    assert [30, -1, 30] == decode_ages([(b"30",), (b"-1",), (b"030",)])


@pytest.mark.parametrize("age", [b"1.5", b"", b"%d" % 2**63])
def test_ages_that_cannot_be_counted(age: bytes) -> None:
    """One of them ends the whole count."""
    reading = blocks([(b"1",)], [(age,)], [(b"2",)])
    with pytest.raises(
        PreconditionError, match=re.escape("user_data has a row that cannot be sent")
    ):
        list(count_ages(reading))
    with pytest.raises(PreconditionError):
        decode_ages([(b"1",), (age,)])
