"""Measuring contestants in turn, round after round, so that the machine's moods touch all alike."""

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request
from benchmarks.databases import Table

__all__ = [
    "Sample",
    "Spread",
    "alternate",
    "check_call",
    "consumers_cpu_seconds",
    "measure_call",
    "ratios",
]


@dataclass(frozen=True, slots=True)
class Sample:
    """One run.

    Attributes:
        users: Users read.
        seconds: How long that took.
        cpu_seconds: CPU time of the server (of the reader, where there is none).
        database_cpu_seconds: CPU time of MySQL; None where its process is not ours to see.
        client_cpu_seconds: CPU time of the consumer.
    """

    users: int
    seconds: float
    cpu_seconds: float
    database_cpu_seconds: float | None = None
    client_cpu_seconds: float = 0.0

    @property
    def users_per_second(self) -> float:
        """Speed."""
        return self.users / self.seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum of some figures."""

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Summarise figures."""
        return cls(min(figures), median(figures), max(figures))


def alternate(entries: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """Run every entry once a round; a first round, not counted, warms all up.

    Args:
        entries: How to run each.
        rounds: How many rounds count.

    Returns:
        Each entry's samples, one a round.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in entries}
    for number in range(rounds + 1):
        for name, run in entries.items():
            sample = run()
            speed = f"{sample.users_per_second:>12,.0f} users/s"
            sys.stderr.write(f"round {number} of {rounds}  {name:<32} {speed}\n")
            if number:
                samples[name].append(sample)
    return samples


def ratios(samples: Sequence[Sample], rivals: Sequence[Sample]) -> Spread:
    """Compare speeds round by round: what slowed a whole round down cancels out."""
    pairs = zip(samples, rivals, strict=True)
    return Spread.of([mine.users_per_second / its.users_per_second for mine, its in pairs])


def measure_call(
    arena: Arena, server: Server, table: Table, request: Request, *, parallel: int = 1
) -> Sample:
    """Make one call (or several at once), check that every user came, and return what it cost.

    Raises:
        RuntimeError: The call failed, or users were missing.
    """
    before = _cpu(arena, server)
    calls = arena.client.calls(server.target, request, parallel=parallel)
    after = _cpu(arena, server)
    users = sum(call.users for call in calls)
    expected = (request.limit or table.rows) * parallel
    if users != expected:
        raise RuntimeError(f"{server.target} sent {users:,} users of {expected:,}.")
    database = None if before[1] is None or after[1] is None else after[1] - before[1]
    seconds = max(call.seconds for call in calls)
    return Sample(users, seconds, after[0] - before[0], database, after[2] - before[2])


def check_call(arena: Arena, server: Server, table: Table, request: Request) -> None:
    """Make one call and compare count and CRC-32 of its ids with the table's.

    Raises:
        RuntimeError: The call failed, or it did not bring the table's ids, each once and in order.
    """
    (call,) = arena.client.calls(server.target, request, check=True)
    expected = (request.limit or table.rows, table.id_crc32(request.limit))
    if (call.users, call.crc32) != expected or call.receipt == "wrong":
        raise RuntimeError(f"{server.target} sent other users than the table has.")


def _cpu(arena: Arena, server: Server) -> tuple[float, float | None, float]:
    """Return CPU time so far of the server, MySQL and all consumers."""
    database = arena.mysql.process
    return (
        server.cpu_seconds(),
        database.cpu_seconds() if database else None,
        consumers_cpu_seconds(),
    )


def consumers_cpu_seconds() -> float:
    """CPU time of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
