"""What `import userstream_client` costs a program, beside `import grpc`, which it cannot do without."""

import subprocess
import sys

from benchmarks import report
from benchmarks.consumer import python_environment
from benchmarks.rounds import Spread

__all__ = ["run"]

_GOAL = 2.0
_GRPC, _CLIENT = "import grpc", "import userstream_client"
_TIMED = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"
_HEAD = ("statement", "ms", "beside import grpc", "goal", "")
_RUNS_A_ROUND = 3


def run(*, rounds: int) -> report.Section:
    """Import both in turn, each time in a new interpreter."""
    _import_seconds(_CLIENT)  # compiles what is not compiled yet
    pairs = [
        (_import_seconds(_GRPC), _import_seconds(_CLIENT)) for _ in range(_RUNS_A_ROUND * rounds)
    ]
    grpc, client = ([1000 * seconds for seconds in column] for column in zip(*pairs, strict=True))
    ratio = Spread.of([mine / its for its, mine in zip(grpc, client, strict=True)])
    verdict = "met" if ratio.middle <= _GOAL else "**missed**"
    rows = [
        [_GRPC, report.spread(Spread.of(grpc), "{:.0f}"), "", "", ""],
        [
            _CLIENT,
            report.spread(Spread.of(client), "{:.0f}"),
            report.spread(ratio, "{:.2f}"),
            f"at most {_GOAL:g}",
            verdict,
        ],
    ]
    body = [
        f"{len(pairs)} new interpreters for each, in turn; minimum, **median** and maximum.",
        report.table(_HEAD, rows),
    ]
    return report.Section("imports", body)


def _import_seconds(statement: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(statement)]
    done = subprocess.run(command, env=python_environment(), stdout=subprocess.PIPE, check=True)
    return float(done.stdout)
