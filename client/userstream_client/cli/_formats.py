"""Rows as text: CSV, NDJSON and tab-separated. Every value comes out so that it can be read back."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

__all__ = ["csv_text", "encoder_for", "escaped", "ndjson_text", "tsv_text"]

Row = Sequence[object]
# Not printable by themselves: the joiners inside emoji (families) and Indic or Persian words, and a flag's region.
_PIECES = re.compile(
    "(?P<joined>[\u200c\u200d]|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|.", re.DOTALL
)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def csv_text(_columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return CSV lines, quoted where it is needed, each ended by a line feed."""
    text = _csv(rows, csv.QUOTE_MINIMAL)
    # The csv module leaves a lone carriage return bare, and readers take it for the end of a line.
    return _csv(rows, csv.QUOTE_ALL) if "\r" in text else text


def _csv(rows: Iterable[Row], quoting: Literal[0, 1]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n", quoting=quoting).writerows(rows)
    return buffer.getvalue()


def ndjson_text(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return one JSON object a line, in UTF-8 rather than escapes."""
    return "".join([_encode(dict(zip(columns, row, strict=True))) + "\n" for row in rows])


def tsv_text(_columns: Sequence[str], rows: Iterable[Row]) -> str:
    r"""Return tab-separated lines; tabs, line ends and other control characters are escaped as \x09."""
    return "".join(["\t".join([escaped(str(value)) for value in row]) + "\n" for row in rows])


def escaped(text: str) -> str:
    """Return text in which nothing can break a line or steer a terminal; emoji sequences stay as they are."""
    return text if text.isprintable() else _PIECES.sub(_escaped_piece, text)


def _escaped_piece(match: re.Match[str]) -> str:
    piece = match[0]
    if match["joined"] or piece.isprintable():
        return piece
    return piece.encode("unicode_escape").decode("ascii")


def encoder_for(name: str) -> Callable[[Sequence[str], Iterable[Row]], str]:
    """Return the function for `csv`, `ndjson` or `table` (tab-separated)."""
    return {"csv": csv_text, "ndjson": ndjson_text, "table": tsv_text}[name]
