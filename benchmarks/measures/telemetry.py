"""What telemetry costs: everything on beside everything off, over the same table."""

import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from userstream_testing.collector import SpanCollector
from userstream_testing.mysql_server import free_port

from benchmarks import report
from benchmarks.arena import Arena, Server
from benchmarks.consumer import Request
from benchmarks.databases import Table
from benchmarks.rounds import Sample, Spread, alternate, measure_call, ratios

__all__ = ["run"]

_SLOW_ROWS = 20_000
_PACKED = "StreamUsers"
_SINGLE = "StreamUsers, 1 user a message"
_GOAL = 0.95
_HEAD = ("telemetry", "users/s", "beside off", "server CPU s/M", "goal", "")


def run(arena: Arena, *, rows: int, rounds: int) -> report.Section:
    """Let a server with metrics and traces, and one without, serve in turn."""
    table = arena.mysql.table(rows)
    endpoint = f"127.0.0.1:{free_port()}"
    with (
        SpanCollector() as collector,
        arena.userstream(
            table, METRICS_LISTEN=endpoint, OTLP_ENDPOINT=collector.endpoint
        ) as measured,
        arena.userstream(table) as plain,
        _scraping(f"http://{endpoint}/metrics"),
    ):
        entries: dict[str, Callable[[], Sample]] = {}
        for name, request in _requests(table).items():
            entries[f"{name}, off"] = _calling(arena, plain, table, request)
            entries[f"{name}, on"] = _calling(arena, measured, table, request)
        samples = alternate(entries, rounds)
        spans = len(collector.spans)
    if not spans:
        raise RuntimeError("The collector got no spans, so telemetry was not on.")
    body = [
        f"{rows:,} users ({_SLOW_ROWS:,} at one a message), {rounds} rounds; minimum, **median** and"
        " maximum. On is metrics, scraped every second, and traces, of which the collector got"
        f" {spans:,} spans. Ratios are taken round by round.",
        report.table(_HEAD, [line for name in _requests(table) for line in _lines(name, samples)]),
    ]
    return report.Section("telemetry", body)


def _requests(table: Table) -> dict[str, Request]:
    return {
        _PACKED: Request(),
        _SINGLE: Request("stream", 1, limit=min(_SLOW_ROWS, table.rows)),
    }


def _calling(arena: Arena, server: Server, table: Table, request: Request) -> Callable[[], Sample]:
    return lambda: measure_call(arena, server, table, request)


def _lines(name: str, samples: dict[str, list[Sample]]) -> list[list[str]]:
    off, on = samples[f"{name}, off"], samples[f"{name}, on"]
    ratio = ratios(on, off)
    verdict = "met" if ratio.middle >= _GOAL else "**missed**"
    goal = [report.spread(ratio, "{:.3f}"), f"at least {_GOAL}", verdict]
    return [
        [f"{name}, off", *_figures(off, ""), "", ""],
        [f"{name}, on", *_figures(on, goal[0]), *goal[1:]],
    ]


def _figures(runs: list[Sample], ratio: str) -> list[str]:
    speed = Spread.of([s.users_per_second for s in runs])
    cpu = Spread.of([s.cpu_seconds / s.users * 1e6 for s in runs])
    return [report.spread(speed, "{:,.0f}"), ratio, f"{cpu.middle:.2f}"]


@contextmanager
def _scraping(url: str) -> Iterator[None]:
    """Ask for the metrics once a second, as a brisk Prometheus would."""
    stop = threading.Event()

    def scrape() -> None:
        while not stop.wait(1):
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - ours
                answer.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
