"""`scripts/mysql`: run a command with a private database server, or a cluster of them, beside it."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from userstream_testing.mysql_binaries import ProgramNotFoundError, ServerProgram, find_server
from userstream_testing.mysql_cluster import PrivateCluster
from userstream_testing.mysql_server import PrivateServer

__all__ = ["main"]

VARIABLE = "USERSTREAM_TEST_MYSQL_URL"
CLUSTER_VARIABLE = "USERSTREAM_TEST_CLUSTER_URL"
_CLUSTER_MAX = 9
"""The most members a group may have."""


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/mysql", description=__doc__)
    parser.add_argument("--engine", choices=["mysql", "mariadb"], default="mysql")
    help_text = f"so many MySQLs in one replication group (2 to {_CLUSTER_MAX})"
    parser.add_argument("--cluster", type=int, default=1, metavar="N", help=help_text)
    tasks = parser.add_subparsers(dest="task", required=True)
    run = tasks.add_parser(
        "run", help=f"run a command with {VARIABLE} set; of a cluster, {CLUSTER_VARIABLE}"
    )
    run.add_argument("command", nargs=argparse.REMAINDER)
    tasks.add_parser("serve", help="print the URL and run until Ctrl-C")
    tasks.add_parser("where", help="print which server program is used")
    arguments = parser.parse_args()
    if not 1 <= arguments.cluster <= _CLUSTER_MAX:
        parser.error(f"--cluster takes 1 to {_CLUSTER_MAX}")
    if arguments.cluster > 1 and arguments.engine != "mysql":
        parser.error("--cluster goes with MySQL only")
    # A plain SIGTERM would skip the clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _do(arguments)
    except (ProgramNotFoundError, RuntimeError) as error:
        sys.stderr.write(f"scripts/mysql: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _do(arguments: argparse.Namespace) -> int:
    if arguments.task == "where":
        program = find_server(arguments.engine)
        sys.stdout.write(f"{program.engine} {program.version}: {program.command[-1]}\n")
        return 0
    if arguments.task == "serve":
        with _started(arguments) as (_, url):
            sys.stdout.write(url + "\n")
            sys.stdout.flush()
            signal.pause()
        return 0
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if arguments.cluster == 1 and os.environ.get(VARIABLE):
        return subprocess.run(command, check=False).returncode
    with _started(arguments) as (program, url):
        sys.stderr.write(f"scripts/mysql: {program.engine} {program.version} on {_hosts(url)}\n")
        variable = VARIABLE if arguments.cluster == 1 else CLUSTER_VARIABLE
        environment = {**os.environ, variable: url, "USERSTREAM_TEST_ENGINE": program.engine}
        return subprocess.run(command, env=environment, check=False).returncode


@contextmanager
def _started(arguments: argparse.Namespace) -> Iterator[tuple[ServerProgram, str]]:
    """Yield what runs, and its URL."""
    if arguments.cluster > 1:
        with PrivateCluster(arguments.cluster) as cluster:
            yield cluster.servers[0].program, cluster.url()
    else:
        with PrivateServer(arguments.engine) as server:
            yield server.program, server.url


def _hosts(url: str) -> str:
    return url.rpartition("@")[2]
