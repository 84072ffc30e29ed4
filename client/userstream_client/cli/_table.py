"""Tables on a terminal: as wide as it is, of whole characters, and without spaces at the end of a line."""

import re
import shutil
import sys
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from userstream_client.cli._formats import Row, escaped

__all__ = ["TerminalTable"]

_GAP = "  "
_NUMBERS = {"age", "batch", "page", "estimated_users"}
# Columns that are never cut, because half a key or token is of no use, with the widths that they begin at.
_WHOLE = {
    "age": 3,
    "batch": 5,
    "estimated_users": 15,
    "page": 4,
    "partition": 9,
    "user_id": 36,
}
# The others share what is left, in these proportions.
_SHARES = {"name": 2, "email": 3}
_SHARED_CELLS_MIN = 8
_WIDE_CELLS = {"name": 24, "email": 32}
_HALF_FLAG = re.compile(
    "(?<![\U0001f1e6-\U0001f1ff])(?:[\U0001f1e6-\U0001f1ff]{2})*[\U0001f1e6-\U0001f1ff]$"
)


class TerminalTable:
    """A table that grows: its parts have the same columns, and only the first has a heading.

    Args:
        columns: Their names.
        wide: Whether to cut nothing, so that lines may be longer than the terminal is wide.
        heading: Whether to print the names first.
    """

    def __init__(self, columns: Sequence[str], *, wide: bool, heading: bool) -> None:
        self._columns = columns
        self._wide = wide
        self._heading = heading
        self._whole = {name: max(_WHOLE[name], len(name)) for name in columns if name in _WHOLE}

    def write(self, rows: Iterable[Row]) -> None:
        """Print rows."""
        cells = [[escaped(str(value)) for value in row] for row in rows]
        self._widen(cells)
        widths = self._widths(shutil.get_terminal_size().columns)
        if self._heading:
            self._print_heading(widths)
        sys.stdout.write("".join([self._line(row, widths) + "\n" for row in cells]))

    def _print_heading(self, widths: Sequence[int]) -> None:
        line = Text(self._line(self._columns, widths), style="bold")
        Console(highlight=False).print(line, soft_wrap=True)
        self._heading = False

    def _widen(self, cells: Sequence[Sequence[str]]) -> None:
        """Make room for the longest value of each column that is never cut."""
        for index, name in enumerate(self._columns):
            if name in self._whole:
                longest = max((cell_len(row[index]) for row in cells), default=0)
                self._whole[name] = max(self._whole[name], longest)

    def _widths(self, terminal: int) -> list[int]:
        if self._wide:
            return [self._whole.get(name) or _WIDE_CELLS[name] for name in self._columns]
        gaps = len(_GAP) * (len(self._columns) - 1)
        left = terminal - gaps - sum(self._whole.values())
        shares = sum(_SHARES[name] for name in self._columns if name not in self._whole)
        return [
            self._whole.get(name) or max(_SHARED_CELLS_MIN, left * _SHARES[name] // shares)
            for name in self._columns
        ]

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        return _GAP.join(map(self._cell, self._columns, cells, widths)).rstrip()

    def _cell(self, column: str, text: str, width: int) -> str:
        if column not in self._whole and not self._wide:
            text = _cut(text, width)
        padding = " " * (width - cell_len(text))
        return padding + text if column in _NUMBERS else text + padding


def _cut(text: str, width: int) -> str:
    """Return text of at most `width` cells, with an ellipsis where something is missing; emoji stay whole."""
    if cell_len(text) <= width:
        return text
    kept = set_cell_size(text, width - 1)
    # A flag is two letters, which rich takes one by one.
    half = _HALF_FLAG.search(kept)
    return (kept[:-1] if half else kept).rstrip() + "…"
