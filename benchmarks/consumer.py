"""Consuming a server: the Go client where it can be had, otherwise one in Python."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.go_programs import GoPrograms

__all__ = ["Call", "Client", "Request", "python_environment"]

_LONGEST_SECONDS = 1200.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a consumer asks for.

    Attributes:
        method: `stream` (StreamUsers) or `batch` (BatchUsers, users of every age).
        users_per_message: max_users_per_message or batch_size; 0 leaves it to the server.
        limit: The most users; 0 for all.
        fields: Paths of the read_mask, with commas between; empty for all fields.
        compression: `gzip`, or empty for none.
    """

    method: str = "stream"
    users_per_message: int = 0
    limit: int = 0
    fields: str = ""
    compression: str = ""

    def arguments(self) -> list[str]:
        """Say it as command-line options."""
        return [
            f"-method={self.method}",
            f"-users-per-message={self.users_per_message}",
            f"-limit={self.limit}",
            f"-fields={self.fields}",
            f"-compression={self.compression}",
        ]


@dataclass(frozen=True, slots=True)
class Call:
    """What one call saw.

    Attributes:
        users: Users received.
        messages: Messages received.
        first_seconds: From the call to its first message.
        seconds: From the call to its end.
        crc32: Over the user_ids, where that was asked for.
        receipt: `none`, `right` or `wrong`.
    """

    users: int
    messages: int
    first_seconds: float
    seconds: float
    crc32: int
    receipt: str


class Client:
    """Runs consumers as processes of their own.

    Args:
        programs: The Go programs; None for the consumer in Python.
    """

    def __init__(self, programs: GoPrograms | None) -> None:
        self._command: tuple[str, ...] = (
            (str(programs.client),)
            if programs
            else (sys.executable, "-m", "benchmarks.contestants.python_client")
        )
        self.name = "the Go client" if programs else "a Python client (no Go here), itself slower"

    def calls(
        self,
        target: str,
        request: Request,
        *,
        parallel: int = 1,
        repeat: int = 1,
        first_only: bool = False,
        check: bool = False,
    ) -> list[Call]:
        """Make calls and return what each saw.

        Args:
            target: host:port.
            request: What to ask for.
            parallel: Consumers at once, each with its own connection.
            repeat: Calls of each, one after the other.
            first_only: Cancel each after its first message.
            check: Reckon CRCs and hold them against the receipts.

        Raises:
            RuntimeError: A call failed; what it said stands above.
        """
        options = [f"-parallel={parallel}", f"-repeat={repeat}"]
        options += ["-first-only"] * first_only + ["-check"] * check
        done = subprocess.run(
            [*self._command, f"-target={target}", *request.arguments(), *options],
            stdout=subprocess.PIPE,
            timeout=_LONGEST_SECONDS,
            check=False,
            env=_environment(),
        )
        if done.returncode:
            raise RuntimeError(f"A call to {target} failed; what it said stands above.")
        return [Call(**call) for call in json.loads(done.stdout)["calls"]]

    @contextmanager
    def stalled(self, target: str, count: int) -> Iterator[None]:
        """Keep `count` streams open for the block, of which nobody reads more than one message."""
        process = subprocess.Popen(
            [*self._command, f"-target={target}", f"-stalled={count}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"{count} streams could not be opened; see above.")
            yield
        finally:
            process.kill()
            process.wait()


def python_environment(**more: str) -> dict[str, str]:
    """Return the environment in which a child finds the same modules."""
    return {**_environment(), **more}


def _environment() -> dict[str, str]:
    root = Path(__file__).resolve().parent.parent
    paths: Sequence[str] = [str(root), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
