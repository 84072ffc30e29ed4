"""`scripts/bench`: run measures and write docs/performance.md."""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from subprocess import SubprocessError

from userstream_server.errors import UserStreamError

from benchmarks import report
from benchmarks.arena import Arena, open_arena
from benchmarks.measures import (
    averages,
    client,
    compression,
    consumers,
    fields,
    first_user,
    grpc_internals,
    imports,
    lookups,
    progress,
    sizes,
    telemetry,
    throughput,
    workers,
)
from benchmarks.other_load import OtherLoad

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Options:
    rows: int
    rounds: int
    sizes: tuple[int, ...]


_MEASURES: dict[str, Callable[[Arena, _Options], report.Section]] = {
    "throughput": lambda arena, o: throughput.run(arena, rows=o.rows, rounds=o.rounds),
    "first-user": lambda arena, o: first_user.run(arena, sizes=o.sizes),
    "sizes": lambda arena, o: sizes.run(arena, sizes=o.sizes, rounds=o.rounds),
    "consumers": lambda arena, o: consumers.run(arena, rows=o.rows, rounds=o.rounds),
    "averages": lambda arena, o: averages.run(arena, rows=o.rows, rounds=o.rounds),
    "fields": lambda arena, o: fields.run(arena, rows=o.rows, rounds=o.rounds),
    "compression": lambda arena, o: compression.run(arena, rows=o.rows, rounds=o.rounds),
    "lookups": lambda arena, o: lookups.run(arena, rows=o.rows),
    "client": lambda arena, o: client.run(arena, rows=o.rows, rounds=o.rounds),
    "imports": lambda _arena, o: imports.run(rounds=o.rounds),
    "telemetry": lambda arena, o: telemetry.run(arena, rows=o.rows, rounds=o.rounds),
    "grpc-internals": lambda arena, o: grpc_internals.run(arena, rows=o.rows, rounds=o.rounds),
    "progress": lambda arena, o: progress.run(arena, rows=o.rows),
    "workers": lambda arena, o: workers.run(arena, rows=o.rows, rounds=o.rounds),
}


def main() -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args()
    # A plain SIGTERM would leave servers running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    measures = options.measure or list(_MEASURES)
    chosen = _Options(options.rows, options.rounds, tuple(options.sizes))
    try:
        with open_arena(options.mysql) as arena:
            versions = _versions(arena, chosen)
            for name in measures:
                others = OtherLoad(arena.mysql.process)
                section = _MEASURES[name](arena, chosen)
                note = (
                    f"<sub>{versions}; other programs took {others.share():.0%} of the CPU.</sub>"
                )
                print(f"\n{section.text}\n\n{note}", flush=True)
                if options.write:
                    report.write(section, note)
    except (RuntimeError, SubprocessError, UserStreamError) as error:
        sys.stderr.write(f"scripts/bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    names = ", ".join(_MEASURES)
    parser.add_argument(
        "measure", nargs="*", type=_measure, metavar="MEASURE", help=f"{names}; none: all of them"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contestant")
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(n.replace("_", "")) for n in text.split(",")],
        default=[10_000, 100_000, 1_000_000, 10_000_000],
        help="rows of the tables compared by sizes and first-user, with commas between",
    )
    parser.add_argument(
        "--mysql",
        metavar="URL",
        default=os.environ.get("USERSTREAM_TEST_MYSQL_URL"),
        help="mysql://user:password@host:port of a running server; default: a private one",
    )
    parser.add_argument(
        "--no-write", dest="write", action="store_false", help="leave docs/performance.md alone"
    )
    return parser


def _measure(name: str) -> str:
    if name not in _MEASURES:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(_MEASURES)}")
    return name


def _versions(arena: Arena, options: _Options) -> str:
    """Say what was measured with what."""
    table = arena.mysql.table(min(options.rows, *options.sizes))
    parts = [
        f"{os.cpu_count()} cores",
        arena.mysql.version(table),
        f"Python {platform.python_version()}",
        f"grpcio {version('grpcio')}",
        f"mysql-connector-python {version('mysql-connector-python')}",
        *([arena.programs.versions] if arena.programs else []),
        f"consumed by {arena.client.name}",
    ]
    return f"{', '.join(parts)}; everything on one machine"


if __name__ == "__main__":
    sys.exit(main())
