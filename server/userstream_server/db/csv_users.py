"""Users from a CSV file, row by row, with a reason for each row that is none."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from userstream_server.db.rows import UserRow

__all__ = ["EMAIL_NAMESPACE", "CsvFormatError", "Reject", "read_users"]

EMAIL_NAMESPACE = UUID("6f1d2c1e-5d0b-5b0e-9f6e-3c1f0a7d9b52")
"""A user without user_id gets UUIDv5 of its e-mail address in this namespace, so seeding twice changes nothing."""

_MAX_CHARS = 255
_MAX_AGE_DIGITS = 10  # DECIMAL(10,0)
_AGE = re.compile(r"[0-9]+")
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SURROGATES = re.compile("[\ud800-\udfff]")


class CsvFormatError(ValueError):
    """The file as a whole cannot be read: no header, or one without the columns."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no user.

    Attributes:
        line: The line it begins on, from 1.
        reason: What is wrong, without its values.
        fields: The row as it was read.
    """

    line: int
    reason: str
    fields: list[str]


def read_users(path: Path) -> Iterator[UserRow | Reject]:
    """Yield the users of a CSV file, and a `Reject` for each row that is none; never more than a row in memory.

    The first line names the columns name, email, age and, if there, user_id, in any order and case.
    Quotes are optional; LF, CRLF and a byte order mark are fine.

    Raises:
        CsvFormatError: The first line is no such header.
        OSError: The file cannot be read.
    """
    # Bytes that are not UTF-8 become surrogates, so that only their own row is lost.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        columns = _header(next(reader, []))
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield Reject(line, "a field is too long or a quote is not closed", [])
                continue
            if fields:  # an empty line is nothing
                yield _user(line, fields, columns)


def _header(fields: list[str]) -> dict[str, int]:
    """Return where each column stands."""
    names = [field.strip().lower() for field in fields]
    columns: dict[str, int] = {
        name: names.index(name) for name in ("user_id", "name", "email", "age") if name in names
    }
    missing = [name for name in ("name", "email", "age") if name not in columns]
    if missing or len(set(names)) != len(names):
        raise CsvFormatError(
            "the first line must name the columns name,email,age and optionally user_id"
            + (f"; missing: {', '.join(missing)}" if missing else "; one stands twice")
        )
    columns[""] = len(names)
    return columns


def _user(line: int, fields: list[str], columns: dict[str, int]) -> UserRow | Reject:
    if len(fields) != columns[""]:
        return Reject(line, f"{len(fields)} columns instead of {columns['']}", fields)
    name = fields[columns["name"]].strip()
    email = fields[columns["email"]].strip()
    age = fields[columns["age"]].strip()
    user_id = fields[columns["user_id"]].strip() if "user_id" in columns else ""
    reason = _wrong(name, email, age)
    if reason:
        return Reject(line, reason, fields)
    if not user_id:
        user_id = str(uuid5(EMAIL_NAMESPACE, email))
    elif not _CANONICAL_UUID.fullmatch(user_id):
        try:
            user_id = str(UUID(user_id))
        except ValueError:
            return Reject(line, "user_id is not a UUID", fields)
    return UserRow(user_id, name, email, int(age))


def _wrong(name: str, email: str, age: str) -> str | None:
    """Return why these cannot be a user's, if so."""
    text = name + email
    wrong = {
        "name is missing": not name,
        "email is missing": not email,
        "age is missing": not age,
        "not valid UTF-8": not text.isascii() and _SURROGATES.search(text) is not None,
        "a field holds a NUL character": "\0" in text,
        "email has no @ between two parts": "@" not in email[1:-1],
        f"name or email is longer than {_MAX_CHARS} characters": max(len(name), len(email))
        > _MAX_CHARS,
        "age is not a whole number of 0 or more": not _AGE.fullmatch(age),
        f"age has more than {_MAX_AGE_DIGITS} digits": len(age.lstrip("0")) > _MAX_AGE_DIGITS,
    }
    return next((reason for reason, applies in wrong.items() if applies), None)
