"""Rows that were not stored: a file that lists each with its line and reason, and a count by reason."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Self, TextIO

from userstream_server.rows.types import UserRow

__all__ = ["Reject", "Rejects", "SourceRow", "csv_reader", "rejected"]


def csv_reader(lines: Iterable[str]) -> Iterator[list[str]]:
    """Split lines into rows. Raises csv.Error."""
    # Strict: a row whose quotes do not match would otherwise come out as some other row.
    return csv.reader(lines, skipinitialspace=True, strict=True)


SourceRow = tuple[UserRow, int, str | None]
"""A user; the line on which its row begins, or its number, from 1; and the row as it stands in a CSV file.

Many of them are in memory at once: a plain tuple with a text costs least.
"""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is not stored.

    Attributes:
        line: The line on which it begins, from 1.
        reason: What is wrong, without its values.
        fields: The row as it was read, or all of it as one where it cannot be split; bytes that are not UTF-8 are
            surrogates.
    """

    line: int
    reason: str
    fields: Sequence[object]


def rejected(row: SourceRow, reason: str) -> Reject:
    """Return a row that is a user, but could not be stored, as a reject."""
    user, line, text = row
    fields = user if text is None else next(csv_reader(StringIO(text, newline="")))
    return Reject(line, reason, fields)


class Rejects:
    """Collects rejects; use it as a context manager.

    Args:
        path: The file to write, for its owner alone, as it holds personal data; it is made with the first reject. None
            only counts.

    Attributes:
        reasons: How many rejects there are of each reason.
        path: The file, once it is made.
    """

    def __init__(self, path: Path | None) -> None:
        self.reasons: Counter[str] = Counter()
        self.path: Path | None = None
        self._wanted = path
        self._file: TextIO | None = None
        self._write: Callable[[Sequence[object]], object] = lambda _: None

    def add(self, reject: Reject) -> None:
        """Write a reject down and count it. Raises OSError."""
        if self._wanted is not None and self._file is None:
            self._open(self._wanted)
        self._write([reject.line, reject.reason, *reject.fields])
        self.reasons[reject.reason] += 1

    def _open(self, path: Path) -> None:
        self._file = _open_private(path)
        self._write = csv.writer(self._file).writerow
        self._write(["line", "reason", "fields"])
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _open_private(path: Path) -> TextIO:
    """Open a file for its owner alone; what was not UTF-8 is written back as it was."""
    return open(
        path,
        "w",
        encoding="utf-8",
        errors="surrogateescape",
        newline="",
        opener=lambda name, flags: os.open(name, flags, 0o600),
    )
