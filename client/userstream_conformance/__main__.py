"""The command `userstream-conformance`."""

import argparse
import json
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from userstream_conformance.catalogue import SCENARIOS
from userstream_conformance.server import ConformanceServer

__all__ = ["main"]

_GOOD, _FAILED, _BAD_USE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM or the end of --seconds, then say how the clients did.

    Args:
        arguments: The command line's; None for the process's own.

    Returns:
        0 if every run was right, 1 if one was wrong or none came, 2 if it could not listen.
    """
    options = _options(arguments)
    if options.list:
        _list()
        return _GOOD
    try:
        address = _address(options.listen)
        _check_port(*address)
        server = ConformanceServer(*address)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        known = isinstance(error, OSError) and error.strerror
        reason = known.partition(" (")[0] if known else "it takes HOST:PORT"
        print(
            f"userstream-conformance: cannot listen on {options.listen}: {reason};"
            " give another address with --listen",
            file=sys.stderr,
        )
        return _BAD_USE
    with server:
        _wait(server, options.seconds)
        return _report(server, options.report, whole=options.all)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="userstream-conformance",
        description="A server that breaks by script. A client names a scenario in"
        " filter.name_prefix as conformance:NAME, or conformance:NAME:RUN for a further run.",
    )
    parser.add_argument("--listen", default="127.0.0.1:50061", metavar="HOST:PORT")
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    parser.add_argument("--list", action="store_true", help="print the scenarios and exit")
    parser.add_argument("--all", action="store_true", help="fail unless every scenario was run")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write JSON here")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    return parser.parse_args(arguments)


def _version() -> str:
    try:
        return version("userstream")
    except PackageNotFoundError:
        return "(not installed)"


def _list() -> None:
    width = max(map(len, SCENARIOS))
    for name, scenario in SCENARIOS.items():
        print(f"{name:{width}}  {scenario.method}: {scenario.rule}")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _check_port(host: str, port: int) -> None:
    """Listen for a moment: gRPC would find out itself, but with a line of its own in the log beside ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host.strip("[]"), port), family=family).close()


def _wait(server: ConformanceServer, seconds: float | None) -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(f"userstream-conformance listens on {server.target}", flush=True)
    stopped.wait(seconds)


def _report(server: ConformanceServer, file: Path | None, *, whole: bool) -> int:
    results = {name: run.faults() for name, run in server.runs.items()}
    missing = sorted(set(SCENARIOS) - {run.scenario.name for run in server.runs.values()})
    for name, faults in results.items():
        print(f"{'FAIL' if faults else 'pass'}  {name}")
        for fault in faults:
            print(f"      {fault}")
    print(
        f"{len(results)} runs, {sum(map(bool, results.values()))} failed, not run: {len(missing)}"
    )
    if file:
        _write(file, {"runs": results, "not_run": missing})
    failed = not results or any(results.values()) or (whole and missing)
    return _FAILED if failed else _GOOD


def _write(file: Path, report: dict[str, Any]) -> None:
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
