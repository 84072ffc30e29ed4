"""What else the machine did meanwhile: figures from a busy machine are worth less, so the report says so."""

import os
import time

import psutil

from benchmarks.processes import Measured

__all__ = ["OtherLoad"]


class OtherLoad:
    """CPU time of programs that are not part of the contest, since this was made.

    Args:
        database: MySQL's process, if it may be seen.
    """

    def __init__(self, database: Measured | None) -> None:
        self._contest = [Measured(os.getpid())]
        if database is not None and not database.is_child:
            self._contest.append(database)
        self._begin = time.monotonic()
        self._before = self._other_seconds()

    def share(self) -> float:
        """Return the part of all cores' time that the others took, from 0 to 1."""
        seconds = (time.monotonic() - self._begin) * (os.cpu_count() or 1)
        return max(0.0, (self._other_seconds() - self._before) / seconds)

    def _other_seconds(self) -> float:
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - times.iowait
        return busy - sum(process.cpu_seconds() for process in self._contest)
