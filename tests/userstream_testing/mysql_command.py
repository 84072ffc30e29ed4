"""`scripts/mysql`: run a command with a private database server beside it."""

import argparse
import os
import signal
import subprocess
import sys

from userstream_testing.mysql_binaries import ProgramNotFoundError, find_server
from userstream_testing.mysql_server import PrivateServer

__all__ = ["main"]

VARIABLE = "USERSTREAM_TEST_MYSQL_URL"


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/mysql", description=__doc__)
    parser.add_argument("--engine", choices=["mysql", "mariadb"], default="mysql")
    tasks = parser.add_subparsers(dest="task", required=True)
    run = tasks.add_parser("run", help=f"run a command with {VARIABLE} set")
    run.add_argument("command", nargs=argparse.REMAINDER)
    tasks.add_parser("serve", help="print the URL and run until Ctrl-C")
    tasks.add_parser("where", help="print which server program is used")
    arguments = parser.parse_args()
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
        with PrivateServer(arguments.engine) as server:
            sys.stdout.write(server.url + "\n")
            sys.stdout.flush()
            signal.pause()
        return 0
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if os.environ.get(VARIABLE):
        return subprocess.run(command, check=False).returncode
    with PrivateServer(arguments.engine) as server:
        program = server.program
        sys.stderr.write(
            f"scripts/mysql: {program.engine} {program.version} on port {server.port}\n"
        )
        environment = {**os.environ, VARIABLE: server.url, "USERSTREAM_TEST_ENGINE": program.engine}
        return subprocess.run(command, env=environment, check=False).returncode
