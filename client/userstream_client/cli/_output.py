"""Rows to stdout: tables for people, text for programs."""

import io
import os
import sys
from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from userstream_client.cli._arguments import Format
from userstream_client.cli._formats import Row, encoder_for, escaped

__all__ = ["USER_COLUMNS", "Output", "note", "say_verdict"]

USER_COLUMNS = ("user_id", "name", "email", "age")
_WIDTHS = {"user_id": 36, "age": 4, "batch": 6, "page": 6, "estimated_users": 15}
_NUMBERS = {"age", "estimated_users"}
_ROWS_AT_ONCE = 200


class Output:
    """Prints rows as they come.

    Args:
        style: How.
        columns: Their names.
    """

    def __init__(self, style: Format, columns: Sequence[str]) -> None:
        """Print nothing yet: the call may still fail."""
        self._columns = columns
        self._encode = encoder_for(style)
        self._table = _TerminalTable(columns) if _pretty(style) else None
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What is piped is UTF-8 and has line feeds, whatever the locale says.
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
        self._heading = style is not Format.NDJSON and self._table is None

    def write(self, rows: Iterable[Row]) -> None:
        """Print rows, now."""
        if self._table:
            self._table.write(list(rows))
        else:
            self._head()
            sys.stdout.write(self._encode(self._columns, list(rows)))
        sys.stdout.flush()

    def close(self) -> None:
        """Print the heading if no row came, and flush while a broken pipe can still be answered."""
        self._head()
        sys.stdout.flush()

    def _head(self) -> None:
        if self._heading:
            sys.stdout.write(self._encode(self._columns, [self._columns]))
            self._heading = False


class _TerminalTable:
    """A table that grows: all its parts have the same columns, only the first a heading."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Take the columns' names."""
        self._columns = columns
        self._console = Console(highlight=False)
        self._heading = True

    def write(self, rows: Sequence[Row]) -> None:
        """Print rows."""
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            self._write_some(rows[begin : begin + _ROWS_AT_ONCE])

    def _write_some(self, rows: Sequence[Row]) -> None:
        table = Table(box=None, expand=True, show_header=self._heading, pad_edge=False)
        for column in self._columns:
            width = _WIDTHS.get(column)
            table.add_column(
                column,
                width=width,
                ratio=None if width else 1,
                no_wrap=True,
                overflow="ellipsis",
                justify="right" if column in _NUMBERS else "left",
            )
        for row in rows:
            # Text, not str: rich would take square brackets for markup.
            table.add_row(*[Text(escaped(str(value))) for value in row])
        self._console.print(table)
        self._heading = False


def _pretty(style: Format) -> bool:
    return style is Format.TABLE and sys.stdout.isatty()


def say_verdict(line: str) -> None:
    """Print a line of a verdict; a reader that is gone changes nothing about the exit code."""
    try:
        typer.echo(line)
    except BrokenPipeError:
        # Python flushes stdout once more on its way out, which would fail again, and aloud.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """Tell a person something beside the data; nothing where stderr is no terminal."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)  # noqa: T201
