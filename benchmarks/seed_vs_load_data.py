"""Seeding a CSV file against LOAD DATA of the same file, in turn, on one private server.

PYTHONPATH=tests python -m benchmarks.seed_vs_load_data [--rows N] [--rounds N]; exit 1 below a third of its speed.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_csv, seed_users
from userstream_server.seeding.synthetic import synthetic_users
from userstream_testing.admin import execute
from userstream_testing.mysql_server import PrivateServer

__all__ = ["main"]

_LEAST_RATIO = 1 / 3
_COLUMNS = (
    "LOAD DATA users/s",
    "seed_csv users/s",
    "speed ratio",
    "LOAD DATA CPU s",
    "seed_csv CPU s",
    "CPU ratio",
)
_LOAD = (
    "LOAD DATA INFILE '{path}' INTO TABLE user_data CHARACTER SET utf8mb4"
    " FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY ''"
    " LINES TERMINATED BY '\\n' IGNORE 1 LINES"
)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one run took: time, and CPU time of the database and of this process together."""

    seconds: float
    cpu_seconds: float


def main() -> int:
    """Print a line for each round, and the ratios; return the exit code."""
    parser = argparse.ArgumentParser(prog="seed_vs_load_data", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    speeds, cpu = [], []
    print(f"| round | {' | '.join(_COLUMNS)} |\n|--:|{'--:|' * len(_COLUMNS)}")
    for number, (load, seed) in enumerate(_rounds(options.rows, options.rounds), start=1):
        speeds.append(load.seconds / seed.seconds)
        cpu.append(load.cpu_seconds / seed.cpu_seconds)
        cells = [f"{options.rows / cost.seconds:,.0f}" for cost in (load, seed)]
        cells += [f"{speeds[-1]:.2f}", f"{load.cpu_seconds:.1f}", f"{seed.cpu_seconds:.1f}"]
        print(f"| {number} | {' | '.join(cells)} | {cpu[-1]:.2f} |", flush=True)
    print(
        f"\n{options.rows:,} users: median speed ratio {median(speeds):.2f} (at least"
        f" {_LEAST_RATIO:.2f} wanted), median CPU ratio {median(cpu):.2f}, which a busy machine"
        " moves less"
    )
    return int(median(speeds) < _LEAST_RATIO)


def _rounds(rows: int, rounds: int) -> Iterator[tuple[_Cost, _Cost]]:
    """Yield the costs of LOAD DATA and of seeding, in turn."""
    with tempfile.TemporaryDirectory() as folder, PrivateServer() as server:
        path = _write_csv(Path(folder), rows)
        url = f"{server.url}/userstream_bench_seed"
        for _ in range(rounds):
            yield (
                _cost(server, url, rows, lambda: _load(url, path)),
                _cost(server, url, rows, lambda: _seed(url, path)),
            )


def _write_csv(folder: Path, rows: int) -> Path:
    path = folder / "users.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["user_id", "name", "email", "age"])
        writer.writerows(synthetic_users(rows))
    # The database server may run as someone else.
    folder.chmod(0o755)
    return path


def _cost(server: PrivateServer, url: str, rows: int, run: Callable[[], None]) -> _Cost:
    """Measure one run into an empty table, and check that every user came."""
    seed_users(DatabaseUrl.parse(url), [])  # makes the table
    execute(url, "TRUNCATE TABLE user_data")
    begin, begin_cpu = time.perf_counter(), _cpu_seconds(server)
    run()
    cost = _Cost(time.perf_counter() - begin, _cpu_seconds(server) - begin_cpu)
    if execute(url, "SELECT COUNT(*) FROM user_data") != [(rows,)]:
        raise RuntimeError("Users are missing.")
    return cost


def _cpu_seconds(server: PrivateServer) -> float:
    used = psutil.Process(server.pid).cpu_times()
    return float(used.user + used.system + time.process_time())


def _load(url: str, path: Path) -> None:
    execute(url, _LOAD.format(path=path), "ANALYZE TABLE user_data")


def _seed(url: str, path: Path) -> None:
    seed_csv(DatabaseUrl.parse(url), path)


if __name__ == "__main__":
    sys.exit(main())
