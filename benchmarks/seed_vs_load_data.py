"""Seeding a CSV file against LOAD DATA of the same file, in turn, on one private server.

PYTHONPATH=tests python -m benchmarks.seed_vs_load_data [--rows N] [--rounds N]; exit 1 below a third of its speed.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from userstream_server.db.seed import seed_csv, seed_users
from userstream_server.db.synthetic import synthetic_users
from userstream_server.db.url import DatabaseUrl
from userstream_testing.admin import execute
from userstream_testing.mysql_server import PrivateServer

__all__ = ["main"]

_LEAST_RATIO = 1 / 3
_LOAD = (
    "LOAD DATA INFILE '{path}' INTO TABLE user_data CHARACTER SET utf8mb4"
    " FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY ''"
    " LINES TERMINATED BY '\\n' IGNORE 1 LINES"
)


def main() -> int:
    """Print speeds and their ratio; return the exit code."""
    parser = argparse.ArgumentParser(prog="seed_vs_load_data", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as folder, PrivateServer() as server:
        path = _write_csv(Path(folder), options.rows)
        url = f"{server.url}/userstream_bench_seed"
        contestants = {"LOAD DATA": lambda: _load(url, path), "seed_csv": lambda: _seed(url, path)}
        print(f"| round | {' users/s | '.join(contestants)} users/s | ratio |\n|--:|--:|--:|--:|")
        for number in range(1, options.rounds + 1):
            load, seed = (options.rows / _seconds(url, run) for run in contestants.values())
            ratios.append(seed / load)
            print(f"| {number} | {load:,.0f} | {seed:,.0f} | {ratios[-1]:.2f} |", flush=True)
            if execute(url, "SELECT COUNT(*) FROM user_data") != [(options.rows,)]:
                raise RuntimeError("Users are missing.")
    print(f"\n{options.rows:,} users, median ratio {median(ratios):.2f} (at least 0.33 wanted)")
    return int(median(ratios) < _LEAST_RATIO)


def _write_csv(folder: Path, rows: int) -> Path:
    path = folder / "users.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["user_id", "name", "email", "age"])
        writer.writerows(synthetic_users(rows))
    # The database server may run as someone else.
    folder.chmod(0o755)
    return path


def _seconds(url: str, run: Callable[[], object]) -> float:
    """Time one run into an empty table."""
    seed_users(DatabaseUrl.parse(url), [])  # makes the table
    execute(url, "TRUNCATE TABLE user_data")
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _load(url: str, path: Path) -> None:
    execute(url, _LOAD.format(path=path), "ANALYZE TABLE user_data")


def _seed(url: str, path: Path) -> None:
    seed_csv(DatabaseUrl.parse(url), path)


if __name__ == "__main__":
    sys.exit(main())
