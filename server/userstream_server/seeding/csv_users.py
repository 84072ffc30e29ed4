"""Users from a CSV file, row by row, with a reason for each row that is none."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from uuid import UUID, uuid5

from userstream_server.rows.types import UserRow
from userstream_server.seeding.csv_lines import MAX_RECORD_CHARS, CsvLines, RecordTooLongError

__all__ = [
    "EMAIL_NAMESPACE",
    "CsvFormatError",
    "Reject",
    "open_csv",
    "read_open_file",
    "read_users",
]

EMAIL_NAMESPACE = UUID("6f1d2c1e-5d0b-5b0e-9f6e-3c1f0a7d9b52")
"""A user without user_id gets UUIDv5 of its e-mail address in this namespace, so seeding twice changes nothing.

The address is taken as it is written: two that differ in case alone stay two users, and none is lost.
"""

_COLUMNS = {"userid": "user_id", "name": "name", "email": "email", "age": "age"}
_MAX_CHARS = 255
_MAX_AGE_DIGITS = 10  # DECIMAL(10,0)
_HYPHENATED = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CANONICAL_UUID = re.compile(_HYPHENATED)
# uuid.UUID alone would also take hyphens anywhere, signs and underscores.
_OTHER_UUID = re.compile(
    rf"(?:urn:uuid:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}|[0-9a-f]{{32}}", re.IGNORECASE | re.ASCII
)
_SURROGATES = re.compile("[\ud800-\udfff]")


class CsvFormatError(ValueError):
    """The file as a whole cannot be read: no header, or one without the columns."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no user.

    Attributes:
        line: The line it begins on, from 1.
        reason: What is wrong, without its values.
        fields: The row as it was read, or all of it as one where it cannot be split; bytes that are not UTF-8 are
            surrogates.
    """

    line: int
    reason: str
    fields: list[str]


def open_csv(path: Path) -> TextIO:
    """Open a CSV file so that bytes that are not UTF-8 cost their own row only. Raises OSError."""
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_users(path: Path) -> Iterator[UserRow | Reject]:
    """Open a CSV file and read it; see `read_open_file`."""
    with open_csv(path) as file:
        yield from read_open_file(file)


def read_open_file(file: TextIO) -> Iterator[UserRow | Reject]:
    """Yield the users of a CSV file, and a `Reject` for each row that is none; never more than a row in memory.

    The first line names the columns name, email, age and, if there, user_id, in any order and case; other columns are
    passed over. Quotes are optional; LF, CRLF, a byte order mark and empty lines are fine. White space around a value
    is no part of it. UUIDs come out in lower case with hyphens.

    Args:
        file: From `open_csv`.

    Raises:
        CsvFormatError: The first line is no such header.
        OSError: The file cannot be read.
    """
    lines = CsvLines(file)
    # Strict: a row whose quotes do not match would otherwise come out as some other row.
    reader = csv.reader(lines, skipinitialspace=True, strict=True)
    try:
        header = _Header(next(reader, []))
    except (csv.Error, RecordTooLongError):
        header = _Header([])
    while True:
        lines.begin_record()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, RecordTooLongError):
            lines.keep_first_line()
            reason = f"quotes do not match, or it is too long (over {MAX_RECORD_CHARS} characters)"
            yield Reject(lines.first_line, reason, [lines.record])
            continue
        if len(fields) < 2 and not "".join(fields).strip():
            continue  # an empty line is nothing
        user = header.user(fields)
        yield user if isinstance(user, UserRow) else Reject(lines.first_line, user, fields)


class _Header:
    """Where each column stands."""

    def __init__(self, fields: list[str]) -> None:
        # "User ID", "user_id" and "E-Mail" are what they seem.
        names = [re.sub(r"[\s_-]", "", field.lower()) for field in fields]
        found = [_COLUMNS[name] for name in names if name in _COLUMNS]
        missing = [name for name in ("name", "email", "age") if name not in found]
        if missing or len(set(found)) < len(found):
            raise CsvFormatError(
                "the first line must name the columns name,email,age and optionally user_id"
                + (f"; missing: {', '.join(missing)}" if missing else "; one stands twice")
            )
        self._width = len(fields)
        self._name, self._email, self._age = map(names.index, ("name", "email", "age"))
        self._user_id = names.index("userid") if "userid" in names else None

    def user(self, fields: list[str]) -> UserRow | str:
        """Return the user of a row, or why it is none."""
        if len(fields) != self._width:
            return f"{len(fields)} columns instead of {self._width}"
        name = fields[self._name].strip()
        email = fields[self._email].strip()
        age = fields[self._age].strip()
        for complaint in _complaints(name, email, age):
            return complaint
        user_id = "" if self._user_id is None else fields[self._user_id].strip()
        if not _CANONICAL_UUID.fullmatch(user_id):
            if user_id and not _OTHER_UUID.fullmatch(user_id):
                return "user_id is not a UUID"
            user_id = str(UUID(user_id) if user_id else uuid5(EMAIL_NAMESPACE, email))
        return UserRow(user_id, name, email, int(age))


def _complaints(name: str, email: str, age: str) -> Iterator[str]:
    """Yield why these cannot be a user's."""
    for field, value in (("name", name), ("email", email), ("age", age)):
        if not value:
            yield f"{field} is missing"
        elif "\0" in value:
            yield f"{field} holds a NUL character"
        elif not value.isascii() and _SURROGATES.search(value):
            yield f"{field} is not valid UTF-8"
        elif len(value) > _MAX_CHARS:
            yield f"{field} is longer than {_MAX_CHARS} characters"
    if "@" not in email[1:-1]:
        yield "email has no @ between two parts"
    if not (age.isascii() and age.isdecimal()):
        yield "age is not a whole number of 0 or more"
    if len(age) > _MAX_AGE_DIGITS:
        yield f"age has more than {_MAX_AGE_DIGITS} digits"
