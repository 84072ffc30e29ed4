"""Rows to stdout: tables for people, text for programs."""

import io
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

import typer

from userstream_client.cli._arguments import Format, Layout
from userstream_client.cli._formats import Row, encoder_for
from userstream_client.cli._problems import UsageProblem
from userstream_client.cli._table import TerminalTable

__all__ = ["Output", "give_up_stdout", "note", "say_verdict"]


class Output:
    """Prints rows as they come.

    Args:
        style: How.
        columns: The names of the values in a row.
        layout: Which of them to print, and how.

    Raises:
        UsageProblem: A column to print does not exist.
    """

    def __init__(self, style: Format, columns: Sequence[str], layout: Layout) -> None:
        places = _chosen(columns, layout.columns)
        self._columns = [columns[place] for place in places]
        # None where rows are printed as they are.
        self._places = None if places == list(range(len(columns))) else places
        self._encode = encoder_for(style)
        self._table = _table(style, self._columns, layout)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What is piped is UTF-8 and has line feeds, whatever the locale says.
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
        self._heading = layout.heading and style is not Format.NDJSON and self._table is None
        self._begins_with_heading = self._heading

    @property
    def has_heading(self) -> bool:
        """Whether a file or pipe begins with the columns' names."""
        return self._begins_with_heading

    def write(self, rows: Iterable[Row]) -> None:
        """Print rows, now."""
        if self._places is not None:
            rows = [[row[place] for place in self._places] for row in rows]
        if self._table:
            self._table.write(rows)
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


def _table(style: Format, columns: Sequence[str], layout: Layout) -> TerminalTable | None:
    if style is not Format.TABLE or not sys.stdout.isatty():
        return None
    return TerminalTable(columns, wide=layout.wide, heading=layout.heading)


def _chosen(columns: Sequence[str], text: str) -> list[int]:
    """Return the places of the columns that `--columns` names."""
    names = [name.strip() for name in text.split(",")] if text else list(columns)
    if len(set(names)) < len(names) or not set(names) <= set(columns):
        raise UsageProblem(
            f"--columns: takes some of {','.join(columns)}, each once, with commas between"
        )
    return [columns.index(name) for name in names]


def say_verdict(line: str) -> None:
    """Print a line of a verdict; a reader that is gone changes nothing about the exit code."""
    try:
        typer.echo(line)
    except BrokenPipeError:
        give_up_stdout()


def give_up_stdout() -> None:
    """Lead standard output nowhere: Python flushes it once more on its way out, which could fail or hang again."""
    with suppress(OSError):  # one that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """Tell a person something beside the data; nothing where stderr is no terminal."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)  # noqa: T201
