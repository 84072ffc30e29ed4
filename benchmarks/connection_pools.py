"""Our connection pool beside SQLAlchemy's QueuePool: `python -m benchmarks.connection_pools`.

Needs sqlalchemy, which the project itself does not. The connections are empty objects, so that only the
pools are measured. docs/adr/0010-connection-pool.md has the figures.
"""

import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from statistics import median
from typing import Any

from userstream_server.databases.pool import Pool
from userstream_server.errors import OverloadedError

__all__ = ["main"]

_SIZE = 8
_THREADS = 100
_ROUNDS = 5
_WAIT_SECONDS = 1.0
Use = Callable[[str], AbstractContextManager[object]]


class _Connection:
    """A connection that costs nothing."""

    def __init__(self) -> None:
        self.used_at = time.monotonic()
        self.reusable = True

    def close(self) -> None:
        """Do nothing."""

    def is_alive(self) -> bool:
        """Say yes."""
        return True


def _ours() -> Use:
    pool: Pool[_Connection] = Pool(_Connection, size=_SIZE, wait_seconds=_WAIT_SECONDS)
    return pool.connection


def _queue_pool() -> Use:
    # No import statement: the project does without sqlalchemy, and its types.
    event, exc, pool = (import_module(f"sqlalchemy.{name}") for name in ("event", "exc", "pool"))
    made: Any = pool.QueuePool(
        _Connection,
        pool_size=_SIZE,
        max_overflow=0,
        timeout=_WAIT_SECONDS,
        reset_on_return=None,
        use_lifo=True,
    )
    event.listen(made, "checkout", lambda *_: None)

    @contextmanager
    def use(_: str) -> Iterator[object]:
        try:
            proxy = made.connect()
        except exc.TimeoutError:
            raise OverloadedError("POOL_EXHAUSTED", "") from None
        try:
            yield proxy.dbapi_connection
        finally:
            proxy.close()

    return use


def _alone_microseconds(use: Use) -> float:
    """Time a checkout and return when nobody else wants one."""
    count = 20_000
    began = time.perf_counter()
    for _ in range(count):
        with use("a"):
            pass
    return (time.perf_counter() - began) / count * 1e6


@contextmanager
def _busy(use: Use, caller: Callable[[int], str], seconds: float) -> Iterator[list[float]]:
    """Have 100 threads hold connections for a time each; yield the list of how long they waited, in seconds."""
    over = threading.Event()
    waits: list[float] = []

    def work(name: str) -> None:
        while not over.is_set():
            waits.append(_waited(use, name, seconds))

    threads = [threading.Thread(target=work, args=(caller(n),)) for n in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield waits
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _waited(use: Use, caller: str, seconds: float) -> float:
    """Hold a connection for a time; return how long the wait for it was, until it was refused if it was."""
    began = time.perf_counter()
    with suppress(OverloadedError), use(caller):
        waited = time.perf_counter() - began
        time.sleep(seconds)
        return waited
    return time.perf_counter() - began


def _contended(use: Use) -> tuple[float, float]:
    """Return uses a second by 100 callers, 1 ms each, and the p99 of their waits in ms."""
    with _busy(use, str, 0.001) as waits:
        time.sleep(2)
        count = len(waits)
    return count / 2, _p99(waits) * 1000


def _beside_a_busy_one(use: Use) -> tuple[float, float]:
    """Return the median and p99 in ms of one caller's waits beside 100 threads of another, 5 ms each."""
    waits: list[float] = []
    with _busy(use, lambda _: "busy", 0.005):
        time.sleep(0.2)
        until = time.monotonic() + 3
        while time.monotonic() < until and len(waits) < 200:
            waits.append(_waited(use, "honest", 0))
    return median(waits) * 1000, _p99(waits) * 1000


def _p99(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.99) - 1)]


def _pool_bytes(make: Callable[[], Use]) -> int:
    """Return the memory of a pool with all its connections opened."""
    make()  # imports
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    use = make()
    held = [use("a") for _ in range(_SIZE)]
    for one in held:
        one.__enter__()
    for one in held:
        one.__exit__(None, None, None)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used


def _import(module: str) -> tuple[float, float]:
    """Return seconds and MiB that importing a module takes in a fresh interpreter."""
    program = (
        "import os, time\n"
        "rss = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20\n"
        f"m, t = rss(), time.perf_counter()\nimport {module}\n"
        "print(time.perf_counter() - t, rss() - m)"
    )
    runs = [
        [float(n) for n in subprocess.check_output([sys.executable, "-c", program]).split()]
        for _ in range(_ROUNDS)
    ]
    return median(run[0] for run in runs), median(run[1] for run in runs)


def main() -> None:
    """Measure both, round by round in turn, and print the medians."""
    pools = {"ours": _ours, "QueuePool": _queue_pool}
    rounds = [(name, make) for _ in range(_ROUNDS) for name, make in pools.items()]
    alone = [(name, _alone_microseconds(make())) for name, make in rounds]
    contended = [(name, _contended(make())) for name, make in rounds]
    beside = [(name, _beside_a_busy_one(make())) for name, make in rounds]
    imports = {
        "ours": _import("userstream_server.databases.pool"),
        "QueuePool": _import("sqlalchemy.pool, sqlalchemy.event"),
    }
    print("| | ours | QueuePool |\n|---|---:|---:|")
    _row("checkout and return, µs", alone, ".1f")
    _row("100 callers, 1 ms each: uses a second", _part(contended, 0), ",.0f")
    _row("the same: p99 of a wait, ms", _part(contended, 1), ".1f")
    _row("one caller beside 100 threads of another: median, ms", _part(beside, 0), ".1f")
    _row("the same: p99, ms", _part(beside, 1), ".1f")
    _row("a pool of 8, KiB", [(n, _pool_bytes(make) / 1024) for n, make in pools.items()], ".1f")
    _row("import, ms", [(n, seconds * 1000) for n, (seconds, _) in imports.items()], ".0f")
    _row("import, MiB", [(n, mib) for n, (_, mib) in imports.items()], ".1f")


def _part(values: list[tuple[str, tuple[float, float]]], number: int) -> list[tuple[str, float]]:
    return [(name, both[number]) for name, both in values]


def _row(label: str, values: list[tuple[str, float]], form: str) -> None:
    ours, other = (median(v for n, v in values if n == name) for name in ("ours", "QueuePool"))
    print(f"| {label} | {ours:{form}} | {other:{form}} |")


if __name__ == "__main__":
    main()
