"""How far seeding is: a bar on a terminal, nothing in a pipe or a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as ProgressBar
from rich.text import Text

from userstream_server.seeding.seed import Progress

__all__ = ["check_mark", "shown_progress"]


class _UsersPerSecond(ProgressColumn):
    """How many users are stored a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} users/s" if task.speed else "")


_FIGURES: dict[str, tuple[type[ProgressColumn], type[ProgressColumn]]] = {
    "users": (MofNCompleteColumn, _UsersPerSecond),
    "bytes": (DownloadColumn, TransferSpeedColumn),
}


@contextmanager
def shown_progress(total: int | None, *, unit: Literal["users", "bytes"]) -> Iterator[Progress]:
    """Yield what to tell about progress; a bar shows amount, rate and time left, and goes away at the end.

    Args:
        total: How much there is; None if nobody knows.
        unit: What is counted.
    """
    console = Console(stderr=True)
    done, rate = _FIGURES[unit]
    columns = (TextColumn("seeding"), BarColumn(), TaskProgressColumn(), done(), rate())
    with ProgressBar(
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("seeding", total=total)
        yield lambda amount: bar.advance(task, amount)


def check_mark() -> str:
    """Return a mark for a terminal that can show it, else nothing."""
    utf8 = sys.stderr.encoding.lower().replace("-", "") == "utf8"
    return "✓ " if utf8 and sys.stderr.isatty() else ""
