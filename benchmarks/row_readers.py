"""Contestants that merely read the rows: a C client, and the driver that userstream uses."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from userstream_testing.debian_packages import PackageNotFoundError, dynamic_command, unpacked

from benchmarks.arena import Arena
from benchmarks.consumer import python_environment
from benchmarks.databases import Table
from benchmarks.rounds import Sample, consumers_cpu_seconds

__all__ = ["c_reader", "driver_reader"]

_SELECT = "SELECT user_id, name, email, age FROM user_data ORDER BY user_id"
# Over TCP without encryption, as all the others connect.
_OPTIONS = ("--protocol=TCP", "--ssl-mode=DISABLED", "--get-server-public-key")
_LEAST_WORK = ("--quick", "--batch", "--raw", "--skip-column-names")


def c_reader(arena: Arena, table: Table) -> Callable[[], Sample]:
    """Return how to run `mysql --quick` over a table.

    Raises:
        PackageNotFoundError: There is no such program here.
    """
    url = table.url
    host, port = url.hosts[0]
    where = (f"--host={host}", f"--port={port}", f"--user={url.user}", f"--database={url.database}")
    command = (*_mysql(), "--no-defaults", *_OPTIONS, *where, *_LEAST_WORK, f"--execute={_SELECT}")
    environment = {**os.environ, "MYSQL_PWD": url.password}
    return lambda: _timed(arena, table, command, environment)


def driver_reader(arena: Arena, table: Table) -> Callable[[], Sample]:
    """Return how to run the driver's own row reader over a table."""
    command = (sys.executable, "-m", "benchmarks.contestants.driver_reader")
    environment = python_environment(USERSTREAM_DATABASE_URL=table.url_text)
    return lambda: _timed(arena, table, command, environment)


def _mysql() -> tuple[str, ...]:
    """Find MySQL's own client (MariaDB's of the same name knows other options)."""
    path = shutil.which("mysql")
    if path:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if "MariaDB" not in shown.stdout:
            return (path,)
    fetched = unpacked(
        "mysql-client",
        lambda apt: apt.download_with_libraries(("mysql-client-core",)),
        suite="sid",
    )
    command = dynamic_command(fetched, "usr/bin/mysql")
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        raise PackageNotFoundError(f"The client in {fetched} does not run; delete it.")
    return command


def _timed(
    arena: Arena, table: Table, command: Sequence[str], environment: dict[str, str]
) -> Sample:
    database = arena.mysql.process
    before = database.cpu_seconds() if database else 0.0
    own, begin = consumers_cpu_seconds(), time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - begin
    used = database.cpu_seconds() - before if database else None
    return Sample(table.rows, seconds, consumers_cpu_seconds() - own, used)
