"""How far a long command is: a bar on a terminal, nothing in a pipe or a log."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text

__all__ = ["Bar", "Pace", "check_mark", "pace_of", "shown_progress"]

_SHOW_SECONDS = 0.1
_WINDOW_SECONDS = 10.0


class Bar(Protocol):
    """Where progress is shown."""

    def update(self, users: int, estimated_users: int, resumed_count: int = 0) -> None:
        """Show how far it is.

        Args:
            users: Done so far, those of earlier runs included.
            estimated_users: About how many there are; 0 while unknown.
            resumed_count: How often the streams were resumed.
        """

    def phase(self, text: str) -> None:
        """Say what is being done now."""


class Pace:
    """Users a second over the last ten seconds, so that a pause brings it down.

    Args:
        clock: The time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, users: int) -> None:
        """Note how many users are done; those before the first note do not count."""
        self._samples.append((self._clock(), users))

    def rate(self) -> float:
        """Return users a second; 0 while unknown."""
        now, samples = self._clock(), self._samples
        while len(samples) > 1 and samples[1][0] <= now - _WINDOW_SECONDS:
            samples.popleft()
        if not samples or now <= samples[0][0]:
            return 0.0
        return (samples[-1][1] - samples[0][1]) / (now - samples[0][0])

    def seconds_left(self, users: int) -> float | None:
        """Return how long so many more users take; None while unknown."""
        rate = self.rate()
        return users / rate if rate > 0 else None


@contextmanager
def shown_progress(description: str, *, wanted: bool = True) -> Iterator[Bar]:
    """Show a bar during the block where standard error is a terminal, and remove it afterwards.

    Args:
        description: What is being done.
        wanted: False shows nothing, for commands that print to the same terminal.
    """
    if not (wanted and sys.stderr.isatty()):
        yield _Silence()
        return
    with _rich_progress() as progress:
        yield _TerminalBar(progress, description)


def pace_of(users: int, seconds: float) -> str:
    """Return how long something took and how many users a second that is."""
    return f"{seconds:.1f} s, {users / max(seconds, 1e-6):,.0f} users/s"


def check_mark() -> str:
    """Return the mark before a verified result; empty where standard error cannot write it."""
    try:
        "✓".encode(sys.stderr.encoding)
    except UnicodeEncodeError:
        return ""
    return "✓ "


class _Silence:
    """Shows nothing."""

    def update(self, users: int, estimated_users: int, resumed_count: int = 0) -> None:
        pass

    def phase(self, text: str) -> None:
        pass


class _TerminalBar:
    """A bar of rich's."""

    def __init__(self, progress: "Progress", description: str) -> None:
        self._progress = progress
        self._pace = Pace()
        self._task = progress.add_task(description, total=None, pace=self._pace, resumed=0)
        self._due = 0.0

    def update(self, users: int, estimated_users: int, resumed_count: int = 0) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _SHOW_SECONDS
        self._pace.add(users)
        total = max(users, estimated_users) if estimated_users else None
        self._progress.update(self._task, completed=users, total=total, resumed=resumed_count)

    def phase(self, text: str) -> None:
        self._progress.update(self._task, description=text)


def _rich_progress() -> "Progress":
    # Late: most runs show no bar, and rich takes a while to import.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
    )
    from rich.table import Column  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Figures(ProgressColumn):
        """Users, rate, time left and resumes."""

        max_refresh = _SHOW_SECONDS

        def render(self, task: "Task") -> "Text":
            return Text(_figures(task), no_wrap=True)

    # rich would lead what is printed meanwhile to standard error, also what belongs into a file.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        TaskProgressColumn("{task.percentage:>3.0f}%"),
        Figures(table_column=Column(no_wrap=True)),
        console=Console(stderr=True),
        expand=True,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _figures(task: "Task") -> str:
    pace: Pace = task.fields["pace"]
    users = int(task.completed)
    of = f" of {int(task.total):,}" if task.total else ""
    left = pace.seconds_left(int(task.total) - users) if task.total else None
    eta = "-:--:--" if left is None else str(timedelta(seconds=round(left)))
    resumed = task.fields["resumed"]
    suffix = f", resumed {resumed}x" if resumed else ""
    return f"{users:,}{of}, {pace.rate():,.0f}/s, {eta} left{suffix}"
