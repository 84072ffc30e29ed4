"""`userstream top`: a server's calls, rates, connection pool and stalls, from its metrics endpoint."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated

import typer

from userstream_client.cli._problems import Problem
from userstream_client.cli.top.exposition import Reading, fetched, url_of
from userstream_client.cli.top.figures import lines_of

__all__ = ["EXAMPLES", "top"]

EXAMPLES = (
    "userstream top",
    "userstream top db1.example:9464 --interval 5",
    "userstream top 127.0.0.1:9464 127.0.0.1:9465    # two workers",
    "userstream top --once",
)

Show = Callable[[list[str]], None]


def top(
    endpoints: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ADDRESS",
            help="What USERSTREAM_METRICS_LISTEN says at the server, or a URL; one for each worker."
            " Default: 127.0.0.1:9464.",
        ),
    ] = None,
    *,
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two readings.")
    ] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print one reading, with the rates of one interval.")
    ] = False,
) -> None:
    """Show what a server is doing, live. It reads the server's Prometheus metrics until Ctrl-C."""
    urls = [url_of(endpoint) for endpoint in endpoints or ["127.0.0.1"]]
    with ThreadPoolExecutor(len(urls)) as pool:

        def read() -> list[Reading]:
            return list(pool.map(fetched, urls))

        if once:
            _show_once(read, interval)
        else:
            _show_live(read, interval)


def _show_once(read: Callable[[], list[Reading]], interval: float) -> None:
    before, began = read(), time.monotonic()
    time.sleep(interval)
    now = read()
    _print_lines(lines_of(now, before, time.monotonic() - began, time.time()))


def _show_live(read: Callable[[], list[Reading]], interval: float) -> None:
    before, began = read(), time.monotonic()
    with _screen() as show:
        while True:
            time.sleep(interval)
            try:
                now = read()
            except Problem as problem:
                # A server that restarts comes back; until then the last word is why it does not answer.
                show([str(problem)])
                continue
            read_at = time.monotonic()
            show(lines_of(now, before, read_at - began, time.time()))
            before, began = now, read_at


@contextmanager
def _screen() -> Iterator[Show]:
    """Yield what shows lines: in place on a terminal, one block after another elsewhere."""
    if not sys.stdout.isatty():
        yield _print_lines
        return
    # Late: rich takes a while to import.
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(Text("reading ..."), screen=True, auto_refresh=False) as live:
        live.refresh()
        yield lambda lines: live.update(Text("\n".join(lines)), refresh=True)


def _print_lines(lines: list[str]) -> None:
    typer.echo("\n".join([*lines, ""]))
