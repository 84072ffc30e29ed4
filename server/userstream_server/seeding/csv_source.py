"""Opening a CSV file for seeding: plain, compressed with gzip, or standard input."""

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import TextIO, cast

from userstream_server.seeding.csv_format import CsvFormatError

__all__ = ["DECOMPRESSION_ERRORS", "STDIN", "CsvSource", "damaged", "open_source"]

STDIN = Path("-")
"""Stands for standard input."""
DECOMPRESSION_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a damaged .gz file raises, at any point of it."""
_HEAD_BYTES = 512
_GZIP = b"\x1f\x8b"
_OTHER_FORMATS = {
    _GZIP: "compressed with gzip, and its name does not end in .gz. Rename it, or pipe it: gunzip -c FILE |"
    " ... --csv -",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet (.xlsx), not text. Save the sheet as CSV (UTF-8)",
    b"BZh": "compressed with bzip2. Pipe it: bunzip2 -c FILE | ... --csv -",
    b"\xfd7zXZ": "compressed with xz. Pipe it: xz -dc FILE | ... --csv -",
    b"\x28\xb5\x2f\xfd": "compressed with zstd. Pipe it: zstd -dc FILE | ... --csv -",
}
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass(frozen=True, slots=True)
class CsvSource:
    """An open CSV file.

    Attributes:
        text: Its text. Bytes that are not UTF-8 are surrogates, so that they cost their own row only.
        stored: The file as it is stored, maybe compressed.
    """

    text: TextIO
    stored: BufferedReader

    @property
    def done_bytes(self) -> int:
        """How many bytes of the stored file are read; 0 for a pipe."""
        return self.stored.tell() if self.stored.seekable() else 0

    def is_file(self, path: Path) -> bool:
        """Say whether a path leads to this very file."""
        return path.exists() and os.path.samestat(path.stat(), os.fstat(self.stored.fileno()))


@contextmanager
def open_source(path: Path) -> Iterator[CsvSource]:
    """Open a CSV file; `-` is standard input, and a name that ends in .gz is decompressed.

    Raises:
        CsvFormatError: The first bytes are not those of UTF-8 text, or the .gz file is none.
        OSError: The file cannot be opened.
    """
    with ExitStack() as stack:
        stored = cast("BufferedReader", sys.stdin.buffer)
        if path != STDIN:
            stored = stack.enter_context(path.open("rb"))
        plain = stored
        if path.suffix.lower() == ".gz":
            plain = cast("BufferedReader", stack.enter_context(_decompressed(stored)))
        _refuse_other_formats(_head(plain))
        text = TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
        # Otherwise the wrapper would close standard input when it is collected.
        stack.callback(text.detach)
        yield CsvSource(text, stored)


def damaged() -> CsvFormatError:
    """Return the error for a .gz file that is damaged before its first user."""
    return CsvFormatError("The file is a damaged .gz file. Fetch or compress it again.")


def _decompressed(stored: BufferedReader) -> gzip.GzipFile:
    head = _head(stored)
    if head and not head.startswith(_GZIP):
        raise CsvFormatError(
            "The file's name ends in .gz, and it is not compressed with gzip. Rename it.",
            head.decode("utf-8", "surrogateescape"),
        )
    return gzip.GzipFile(fileobj=stored)


def _head(file: BufferedReader) -> bytes:
    """Return the first bytes and leave them to be read."""
    try:
        return file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    except DECOMPRESSION_ERRORS:
        raise damaged() from None


def _refuse_other_formats(head: bytes) -> None:
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise CsvFormatError(f"The file is {what}.", head.decode("utf-8", "surrogateescape"))
    encoding = _BYTE_ORDER_MARKS.get(head[:2]) or _utf16_without_mark(head)
    if encoding:
        raise CsvFormatError(
            "The file is encoded in UTF-16, as some spreadsheets save text. Save it as CSV UTF-8, or"
            " convert it: iconv -f UTF-16 -t UTF-8 FILE.",
            head[: len(head) // 2 * 2].decode(encoding, "replace").lstrip("\ufeff"),
        )


def _utf16_without_mark(head: bytes) -> str | None:
    """Name the encoding in which half of the bytes of ASCII text are NUL."""
    if head and head[1::2].count(0) * 2 > len(head) // 2:
        return "utf-16-le"
    if head and head[::2].count(0) * 2 > len(head) // 2:
        return "utf-16-be"
    return None
