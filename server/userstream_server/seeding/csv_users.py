"""Users from a CSV file, row by row, with a reason for each row that is none."""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final, TextIO
from uuid import UUID, uuid5

from userstream_server.rows.types import UserRow
from userstream_server.seeding.csv_format import CsvFormatError, column_of, why_no_header
from userstream_server.seeding.csv_lines import MAX_RECORD_CHARS, CsvLines, RecordTooLongError
from userstream_server.seeding.csv_source import DECOMPRESSION_ERRORS, damaged, open_source
from userstream_server.seeding.rejects import Reject, SourceRow, csv_reader

__all__ = ["EMAIL_NAMESPACE", "NO_USER_ID", "read_open_file", "read_users"]

EMAIL_NAMESPACE = UUID("6f1d2c1e-5d0b-5b0e-9f6e-3c1f0a7d9b52")
"""A user without user_id gets UUIDv5 of its e-mail address in this namespace, so seeding twice changes nothing.

The address is taken as it is written: two that differ in case alone stay two users, and none is lost.
"""
NO_USER_ID: Final = "the header names user_id, and the row has no value for it"
"""The reason of rows that would be users if the header did not name user_id."""

_BROKEN = f"quotes do not match, or it is too long (over {MAX_RECORD_CHARS} characters)"
_MAX_CHARS = 255
_MAX_AGE_DIGITS = 10  # DECIMAL(10,0)
_HYPHENATED = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CANONICAL_UUID = re.compile(_HYPHENATED)
# uuid.UUID alone would also take hyphens anywhere, signs and underscores.
_OTHER_UUID = re.compile(
    rf"(?:urn:uuid:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}|[0-9a-f]{{32}}", re.IGNORECASE | re.ASCII
)
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_users(path: Path) -> Iterator[SourceRow | Reject]:
    """Open a CSV file and yield its rows. Raises CsvFormatError and OSError."""
    with open_source(path) as source:
        yield from read_open_file(source.text)


def read_open_file(file: TextIO) -> Iterator[SourceRow | Reject]:
    """Read the header of a CSV file at once; return an iterator over its users and over the rows that are none.

    The first line names the columns name, email, age and, if there, user_id, in any order and case; other columns are
    ignored. Quotes are optional; LF, CRLF, a byte order mark and empty lines are fine. White space around a value
    is no part of it. UUIDs come out in lower case with hyphens. Never more than one row is in memory.

    Args:
        file: The text of `open_source`.

    Raises:
        CsvFormatError: The first line is no such header.
        OSError: The file cannot be read; later, the iterator raises it too.
    """
    lines = CsvLines(file)
    reader = csv_reader(lines)
    return _rows(lines, reader, _read_header(lines, reader))


def _read_header(lines: CsvLines, reader: "Iterator[list[str]]") -> "_Header":
    fields: list[str] | None = []
    try:
        while fields is not None and not "".join(fields).strip():
            lines.begin_record()
            fields = next(reader, None)
    except (csv.Error, RecordTooLongError):
        raise CsvFormatError(why_no_header(lines.first_text, None), lines.first_text) from None
    except DECOMPRESSION_ERRORS:
        raise damaged() from None
    if fields is None:
        raise CsvFormatError("The file is empty: it has no header and no users.")
    columns = [column_of(field) for field in fields]
    found = [column for column in columns if column]
    if not {"name", "email", "age"} <= set(found) or len(set(found)) < len(found):
        raise CsvFormatError(why_no_header(lines.first_text, fields), lines.first_text)
    return _Header(columns)


def _rows(
    lines: CsvLines, reader: "Iterator[list[str]]", header: "_Header"
) -> Iterator[SourceRow | Reject]:
    while True:
        lines.begin_record()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, RecordTooLongError):
            lines.keep_first_line()
            yield Reject(lines.first_line, _BROKEN, [lines.record])
            continue
        if len(fields) < 2 and not "".join(fields).strip():
            continue  # an empty line is nothing
        user = header.user(fields)
        if isinstance(user, str):
            yield Reject(lines.first_line, user, fields)
        else:
            yield user, lines.first_line, lines.text


class _Header:
    """Where each column stands.

    Args:
        columns: Our name of each column of the file, None for others.
    """

    def __init__(self, columns: list[str | None]) -> None:
        self._columns = columns
        self._width = len(columns)
        self._name, self._email, self._age = map(columns.index, ("name", "email", "age"))
        self._user_id = columns.index("user_id") if "user_id" in columns else None

    def user(self, fields: list[str]) -> UserRow | str:
        """Return the user of a row, or why it is none."""
        if len(fields) != self._width:
            return self._wrong_width(fields)
        name = fields[self._name].strip()
        email = fields[self._email].strip()
        age = fields[self._age].strip()
        if complaint := _complaint(name, email, age):
            return complaint
        user_id = "" if self._user_id is None else fields[self._user_id].strip()
        if not _CANONICAL_UUID.fullmatch(user_id):
            if user_id and not _OTHER_UUID.fullmatch(user_id):
                return "user_id is not a UUID"
            user_id = str(UUID(user_id) if user_id else uuid5(EMAIL_NAMESPACE, email))
        return UserRow(user_id, name, email, int(age))

    def _wrong_width(self, fields: list[str]) -> str:
        if self._user_id is not None and len(fields) == self._width - 1:
            without = _Header([column for column in self._columns if column != "user_id"])
            if isinstance(without.user(fields), UserRow):
                return NO_USER_ID
        return f"{len(fields)} columns instead of {self._width}"


def _complaint(name: str, email: str, age: str) -> str | None:
    """Return why these cannot be a user's; None when they can."""
    # Nearly every row is fine. What is not printable (NUL, surrogates, but also a line break) is looked at closely.
    if (
        0 < len(name) <= _MAX_CHARS >= len(email)
        and 0 < len(age) <= _MAX_AGE_DIGITS
        and name.isprintable()
        and email.isprintable()
        and age.isdecimal()
        and age.isascii()
        and "@" in email[1:-1]
    ):
        return None
    complaints = chain(_about_texts(name, email, age), _about_meaning(email, age))
    return next(complaints, None)


def _about_texts(name: str, email: str, age: str) -> Iterator[str]:
    for field, value in (("name", name), ("email", email), ("age", age)):
        if not value:
            yield f"{field} is missing"
        elif "\0" in value:
            yield f"{field} holds a NUL character"
        elif _SURROGATES.search(value):
            yield f"{field} is not valid UTF-8"
        elif len(value) > _MAX_CHARS:
            yield f"{field} is longer than {_MAX_CHARS} characters"


def _about_meaning(email: str, age: str) -> Iterator[str]:
    if "@" not in email[1:-1]:
        yield "email has no @ between two parts"
    if not (age.isascii() and age.isdecimal()):
        yield "age is not a whole number of 0 or more"
    if len(age) > _MAX_AGE_DIGITS:
        yield f"age has more than {_MAX_AGE_DIGITS} digits"
