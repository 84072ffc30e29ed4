"""What broken CSV files may cost: their broken rows, and nothing else."""

from pathlib import Path
from uuid import uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from userstream_server.rows.types import UserRow
from userstream_server.seeding.csv_format import CsvFormatError
from userstream_server.seeding.csv_lines import MAX_RECORD_CHARS
from userstream_server.seeding.csv_users import EMAIL_NAMESPACE, read_users
from userstream_server.seeding.rejects import Reject

KEY = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
HEADER = b"name,email,age\n"


def read(folder: Path, raw: bytes) -> list[UserRow | Reject]:
    """Read a file of these bytes."""
    path = folder / "users.csv"
    path.write_bytes(raw)
    return [row[0] if isinstance(row, tuple) else row for row in read_users(path)]


def names_and_lines(rows: list[UserRow | Reject]) -> list[str | int]:
    """Return the name of each user and the line of each reject."""
    return [row.name if isinstance(row, UserRow) else row.line for row in rows]


@pytest.mark.parametrize(
    "broken",
    [
        b'"Bad,b@x.com,2\n',
        b'"Bad" one,b@x.com,2\n',
        b'Bad,"b@x.com,2\n',
        b'"Anne "Annie" O\'Neil",b@x.com,2\n',
    ],
)
@pytest.mark.parametrize("after", [b"C,c@x.com,3\nD,d@x.com,4\n", b'C,c@x.com,3\n"D",d@x.com,4\n'])
def test_quotes_that_do_not_match_cost_one_row(tmp_path: Path, broken: bytes, after: bytes) -> None:
    """The users after such a row are kept, also where a later quote would seem to close it."""
    rows = read(tmp_path, HEADER + b"A,a@x.com,1\n" + broken + after)

    assert ["A", 3, "C", "D"] == names_and_lines(rows)
    assert isinstance(rows[1], Reject)
    assert "quotes do not match" in rows[1].reason
    assert [broken.decode().rstrip("\n")] == rows[1].fields


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",a@x.com,1", "name is missing"),
        ("A,,1", "email is missing"),
        ("A,a@x.com,", "age is missing"),
        ("A\0,a@x.com,1", "name holds a NUL character"),
        ("A\udcff,a@x.com,1", "name is not valid UTF-8"),
        (f"{'n' * 256},a@x.com,1", "name is longer than 255 characters"),
        (f"A,a@{'x' * 254},1", "email is longer than 255 characters"),
        ("A,ax.com,1", "email has no @ between two parts"),
        ("A,@x.com,1", "email has no @ between two parts"),
        ("A,a@,1", "email has no @ between two parts"),
        ("A,a@x.com,-1", "age is not a whole number of 0 or more"),
        ("A,a@x.com,1.5", "age is not a whole number of 0 or more"),
        ("A,a@x.com,\u0661", "age is not a whole number of 0 or more"),
        ("A,a@x.com,12345678901", "age has more than 10 digits"),
    ],
)
def test_what_is_wrong_with_a_row(tmp_path: Path, row: str, reason: str) -> None:
    """Each rule has its reason, and the row after it is read."""
    raw = HEADER + row.encode("utf-8", "surrogateescape") + b"\nB,b@x.com,2\n"
    rejected, user = read(tmp_path, raw)

    assert isinstance(rejected, Reject)
    assert (reason, 2) == (rejected.reason, rejected.line)
    assert isinstance(user, UserRow)


def test_the_most_that_a_row_may_have(tmp_path: Path) -> None:
    """Texts of 255 characters, and an age of ten digits."""
    name, email = "🌻" * 255, f"a@{'x' * 253}"
    (user,) = read(tmp_path, HEADER + f"{name},{email},0123456789\n".encode())

    assert isinstance(user, UserRow)
    assert (name, email, 123_456_789) == user[1:]


def test_lines_are_counted_behind_quoted_line_breaks_and_broken_rows(tmp_path: Path) -> None:
    """A reject's line is where an editor shows it."""
    raw = b'"A\r\n1",a@x.com,1\r\n\r\n"oops,b@x.com,2\r\nC,,3\r\n"D\r\n\r\n2",d@x.com,x\r\nE,,5\r\n'

    assert ["A\r\n1", 5, 6, 7, 10] == names_and_lines(read(tmp_path, HEADER + raw))


@pytest.mark.parametrize("length", [MAX_RECORD_CHARS - 1, MAX_RECORD_CHARS, 100_000, 1_000_000])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_line_too_long_costs_itself(tmp_path: Path, length: int, quote: bytes) -> None:
    """A line of any length is refused, and the next one read."""
    raw = quote + b"A" * length + quote + b",a@x.com,1\nB,b@x.com,2\n"

    assert [2, "B"] == names_and_lines(read(tmp_path, HEADER + raw))


def test_an_endless_file_is_refused_in_pieces(tmp_path: Path) -> None:
    """A file that is one long line with no end is one reject."""
    (only,) = read(tmp_path, HEADER + b"x" * 3_000_000)

    assert isinstance(only, Reject)
    assert len("".join(map(str, only.fields))) <= MAX_RECORD_CHARS + 1


@pytest.mark.parametrize(
    "user_id",
    [
        KEY[:-1],
        KEY + "0",
        KEY.replace("-", "_"),
        "+" + KEY[1:].replace("-", ""),
        KEY.replace("-", "")[:16] + "-" * 4 + KEY.replace("-", "")[16:],
        KEY[:-1] + "g",
        "0b0e0a36-5d6c-4a4f-8f0e-01234567_9ab",
        "{" + KEY,
        "{" + "-" * 36 + "}",
    ],
)
def test_what_is_only_nearly_a_uuid(tmp_path: Path, user_id: str) -> None:
    """Python's own UUID type takes some of these; a table's key does not."""
    (row,) = read(tmp_path, f"user_id,name,email,age\n{user_id},A,a@x.com,1\n".encode())

    assert row == Reject(2, "user_id is not a UUID", [user_id, "A", "a@x.com", "1"])


@pytest.mark.parametrize("heading", ["User ID", "USER-ID", "UserId", '"user_id"', " user_id "])
def test_header_spellings(tmp_path: Path, heading: str) -> None:
    """Case, blanks, hyphens, underscores and quotes in the header make no difference."""
    raw = f"{heading}, E-Mail ,NAME,Age\n{KEY},a@x.com,A,1\n"

    assert [UserRow(KEY, "A", "a@x.com", 1)] == read(tmp_path, raw.encode())


def test_other_columns_are_passed_over(tmp_path: Path) -> None:
    """Columns that are not ours may hold anything, and blank headings may repeat."""
    rows = read(tmp_path, b"city,name,,email,,age\nKyiv\xff,A,x,a@x.com,y,1\n")

    assert ["A"] == names_and_lines(rows)


@pytest.mark.parametrize(
    "raw",
    [b'"name,email,age\n', b"A,a@x.com,30\n", b"n" * 20_000, b"user id,user_id,name,email,age"],
)
def test_no_usable_header(tmp_path: Path, raw: bytes) -> None:
    """A file without a header, or a broken one, is refused with what the header must be."""
    with pytest.raises(CsvFormatError, match="name,email,age"):
        read(tmp_path, raw)


def test_a_missing_user_id_comes_from_the_address_as_written(tmp_path: Path) -> None:
    """Addresses that differ in case stay two users: neither is lost."""
    lower, upper = read(tmp_path, HEADER + b"A,a@x.com,1\nA,A@x.com,1\n")

    assert isinstance(lower, UserRow)
    assert isinstance(upper, UserRow)
    assert lower.user_id == str(uuid5(EMAIL_NAMESPACE, "a@x.com"))
    assert lower.user_id != upper.user_id


@settings(deadline=None)  # files are written, and the disk may be busy
@given(st.lists(st.sampled_from(['"', ",", "\n", "\r\n", "A", "a@x.com", "1", "é", "\udcff"])))
def test_every_file_is_read_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    """Whatever stands before it, a good last line is found, and lines never go backwards."""
    raw = HEADER + "".join(pieces).encode("utf-8", "surrogateescape") + b"\nLast,last@x.com,9\n"
    rows = read(tmp_path_factory.mktemp("csv"), raw)
    lines = [row.line for row in rows if isinstance(row, Reject)]

    assert names_and_lines(rows)[-1] == "Last"
    assert sorted(set(lines)) == lines
