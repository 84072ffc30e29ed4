"""The lines of a CSV file, with a way back: a quote that is never closed must not swallow the users after it."""

from collections import deque
from collections.abc import Iterator
from typing import Self, TextIO

__all__ = ["MAX_RECORD_CHARS", "CsvLines", "RecordTooLongError"]

MAX_RECORD_CHARS = 16_384
"""A record may have so many; a user needs 1,100 at most, the rest is for columns that are not ours."""


class RecordTooLongError(Exception):
    """A record is longer than MAX_RECORD_CHARS characters."""


class CsvLines(Iterator[str]):
    """The lines of a file for `csv.reader`, which remember the current record.

    Args:
        file: Opened with newline="", as csv wants it.

    Attributes:
        first_line: The line the current record begins on, from 1.
    """

    def __init__(self, file: TextIO) -> None:
        self.first_line = 1
        self._file = file
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._record_chars = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """Return the next line. Raises RecordTooLongError."""
        # Bounded: a file without line ends must not come into memory whole.
        bound = MAX_RECORD_CHARS + 1
        line = self._again.popleft() if self._again else self._file.readline(bound)
        if not line:
            raise StopIteration
        self._record.append(line)
        self._record_chars += len(line)
        if self._record_chars > MAX_RECORD_CHARS:
            raise RecordTooLongError
        return line

    @property
    def record(self) -> str:
        """The current record as it stands in the file, without its line end."""
        return self.text.rstrip("\r\n")

    @property
    def text(self) -> str:
        """The current record as it stands in the file."""
        return self._record[0] if len(self._record) == 1 else "".join(self._record)

    @property
    def first_text(self) -> str:
        """The first line of the current record; empty before it is read."""
        return self._record[0] if self._record else ""

    def begin_record(self) -> None:
        """Forget the record before; the next line begins a new one."""
        self.first_line += len(self._record)
        self._record.clear()
        self._record_chars = 0

    def keep_first_line(self) -> None:
        """Shorten the record to its first line; what came after it will be read again as records of their own."""
        self._again.extendleft(reversed(self._record[1:]))
        del self._record[1:]
        piece = self._record[0]
        while piece and not piece.endswith(("\n", "\r")):  # the rest of a line that is too long
            piece = self._file.readline(MAX_RECORD_CHARS)
