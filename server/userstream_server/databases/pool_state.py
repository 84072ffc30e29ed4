"""What metrics read of a connection pool."""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from userstream_server.databases.fair_queue import LeaseClass

__all__ = ["CLASSES", "OUTCOMES", "PoolState", "Waits", "WaitsState"]

CLASSES = tuple(kind.value for kind in LeaseClass)
OUTCOMES = ("served", "refused", "cancelled")


class Waits:
    """Counts the waits that have ended. Its owner calls `add` from one thread at a time."""

    def __init__(self) -> None:
        # From the first scrape on, so that a rate can be taken of the first wait.
        self._count = Counter({(kind, outcome): 0 for kind in CLASSES for outcome in OUTCOMES})
        self._seconds = dict.fromkeys(CLASSES, 0.0)

    def add(self, kind: LeaseClass, outcome: str, seconds: float) -> None:
        """Count one; `outcome` is one of OUTCOMES."""
        self._count[kind.value, outcome] += 1
        self._seconds[kind.value] += seconds

    def count(self) -> Mapping[tuple[str, str], int]:
        """Return how many there were, by class and outcome."""
        return self._count

    def seconds(self) -> Mapping[str, float]:
        """Return how long they took together, by class."""
        return self._seconds


class WaitsState(Protocol):
    """The waits that have ended, as an observer sees them."""

    def count(self) -> Mapping[tuple[str, str], int]:
        """Return how many there were, by class and outcome."""

    def seconds(self) -> Mapping[str, float]:
        """Return how long they took together, by class."""


class PoolState(Protocol):
    """A pool as an observer sees it. Classes are the values of `LeaseClass`."""

    @property
    def size(self) -> int:
        """The most connections."""

    @property
    def in_use(self) -> int:
        """How many are handed out."""

    @property
    def waiting(self) -> int:
        """How many queries wait for one."""

    @property
    def callers_waiting(self) -> int:
        """How many callers these queries belong to."""

    @property
    def waits(self) -> WaitsState:
        """The waits that have ended."""

    def in_use_by_class(self) -> Mapping[str, int]:
        """Return how many are handed out, by class."""

    def waiting_by_class(self) -> Mapping[str, int]:
        """Return how many queries wait, by class."""
