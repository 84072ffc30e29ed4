"""`userstream bench`: how fast one's own server is, in a run that ends by itself."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from math import ceil
from statistics import median
from typing import Annotated

import typer

from userstream_client._client import UserStreamClient
from userstream_client._streams import BatchStream
from userstream_client.cli import _arguments as args
from userstream_client.cli._output import note

__all__ = ["EXAMPLES", "bench"]

EXAMPLES = (
    "userstream bench",
    "userstream bench --seconds 10 --callers 4",
    "userstream bench --format json",
)
_FIRST_USERS = 50
_SMALL_PASS_USERS = 100_000

Pass = Callable[[UserStreamClient, float], int]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the first user takes.

    Attributes:
        measure: Its name.
        calls: How many were made, one after another.
        median_seconds: Half of them were quicker.
        p95_seconds: 95 % of them were quicker.
    """

    measure: str
    calls: int
    median_seconds: float
    p95_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.measure:12} {self.median_seconds * 1000:,.1f} ms, the median of {self.calls} calls;"
            f" 95 % within {self.p95_seconds * 1000:,.1f} ms"
        )


@dataclass(frozen=True, slots=True)
class Throughput:
    """How many users come in how long.

    Attributes:
        measure: Its name.
        users: Of all callers together.
        seconds: Of the clock.
        passes: How many streams were begun; a small table is read again and again.
        client_cpu_seconds: CPU time of this process.
    """

    measure: str
    users: int
    seconds: float
    passes: int
    client_cpu_seconds: float

    def __str__(self) -> str:
        rate = self.users / self.seconds
        per_million = self.client_cpu_seconds / max(self.users, 1) * 1e6
        return (
            f"{self.measure:12} {rate:,.0f} users/s; client: {per_million:.2f} s of CPU for a million users,"
            f" {self.client_cpu_seconds / self.seconds:.0%} of a core"
        )


def bench(
    *,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=60, help="How long each of three measures reads.")
    ] = 3.0,
    callers: Annotated[int, typer.Option(min=1, max=16, help="Streams to read side by side.")] = 1,
    style: Annotated[
        args.FigureFormat, typer.Option("--format", help="JSON is one object a measure.")
    ] = args.FigureFormat.TEXT,
    target: args.Target = None,
) -> None:
    """Measure your own server. It takes the time to the first user, and reads at full speed for a few seconds."""
    with args.open_client(target, None) as client:
        for found in _measures(client, seconds, callers):
            if style is args.FigureFormat.JSON:
                typer.echo(json.dumps(asdict(found)))
            else:
                typer.echo(str(found))
            if isinstance(found, Throughput):
                _warn_of_small_table(found)


def _measures(
    client: UserStreamClient, seconds: float, callers: int
) -> Iterator[Latency | Throughput]:
    yield _first_user(client, seconds)
    passes: dict[str, Pass] = {"stream": _stream, "batch": _batch, "average-age": _average_age}
    for name, read in passes.items():
        yield _throughput(name, client, read, seconds, callers)


def _first_user(client: UserStreamClient, seconds: float) -> Latency:
    taken: list[float] = []
    until = time.monotonic() + seconds
    while not taken or (len(taken) < _FIRST_USERS and time.monotonic() < until):
        began = time.monotonic()
        with client.stream_users(limit=1) as users:
            next(users, None)
            taken.append(time.monotonic() - began)
            next(
                users, None
            )  # to the end, because a cancelled call counts as an error at the server
    taken.sort()
    return Latency("first user", len(taken), median(taken), taken[ceil(0.95 * len(taken)) - 1])


def _throughput(
    name: str, client: UserStreamClient, read: Pass, seconds: float, callers: int
) -> Throughput:
    began, cpu_began = time.monotonic(), time.process_time()
    until = began + seconds
    with ThreadPoolExecutor(callers) as pool:
        counts = list(pool.map(lambda _: _passes(client, read, until), range(callers)))
    return Throughput(
        name,
        sum(map(sum, counts)),
        time.monotonic() - began,
        sum(map(len, counts)),
        time.process_time() - cpu_began,
    )


def _passes(client: UserStreamClient, read: Pass, until: float) -> Sequence[int]:
    """Return the users of each pass until the time is over; at least one pass is begun."""
    users = [read(client, until)]
    while time.monotonic() < until:
        users.append(read(client, until))
    return users


def _stream(client: UserStreamClient, until: float) -> int:
    return _read(client.stream_users().chunks(), until)


def _batch(client: UserStreamClient, until: float) -> int:
    return _read(client.batch_users(), until)


def _read(stream: BatchStream, until: float) -> int:
    count = 0
    with closing(stream):
        for users in stream:
            count += len(users)
            if time.monotonic() >= until:
                break
    return count


def _average_age(client: UserStreamClient, until: float) -> int:
    count = 0
    with closing(client.stream_average_age()) as steps:
        for figures in steps:
            count = figures.user_count
            if time.monotonic() >= until:
                break
    return count


def _warn_of_small_table(found: Throughput) -> None:
    mean = found.users / found.passes
    if found.measure == "stream" and found.passes > 1 and mean < _SMALL_PASS_USERS:
        note(
            f"{'':12} a pass has {mean:,.0f} users only, so these figures are mostly the cost of calls"
        )
