"""Starting the servers that compete, each once a table, all ended together."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from userstream_testing.debian_packages import PackageNotFoundError
from userstream_testing.server_process import ServerProcess

from benchmarks.consumer import Client, python_environment
from benchmarks.databases import MySQL, Table, open_mysql
from benchmarks.go_programs import GoPrograms, build_go_programs
from benchmarks.processes import Measured, start_announcing_port

__all__ = ["Arena", "Server", "ServerKind", "open_arena"]

ServerKind = Literal["userstream", "userstream-python", "go", "plain", "quickest"]
_PLAIN = "benchmarks.contestants.plain_grpcio"


class Server(Protocol):
    """A running contestant."""

    target: str

    def cpu_seconds(self) -> float:
        """CPU time so far."""

    def resident_bytes(self) -> int:
        """Memory in use now."""

    def peak_bytes(self) -> int:
        """The most memory in use at once since `forget_peak`."""

    def forget_peak(self) -> None:
        """Begin anew."""


class _Userstream(Measured):
    """Our own server."""

    def __init__(self, process: ServerProcess) -> None:
        super().__init__(process.process.pid)
        self.target = process.target


@dataclass
class Arena:
    """What all measures share.

    Attributes:
        mysql: The database server.
        programs: The Go programs; None where they cannot be built.
        client: The consumer.
    """

    mysql: MySQL
    programs: GoPrograms | None
    client: Client
    stack: ExitStack
    _running: dict[tuple[ServerKind, str], Server] = field(default_factory=dict)

    def server(self, kind: ServerKind, table: Table) -> Server:
        """Return a contestant over a table, starting it when it does not run yet."""
        key = (kind, table.url_text)
        if key not in self._running:
            if kind == "userstream":
                self._running[key] = self.stack.enter_context(self.userstream(table))
            elif kind == "userstream-python":
                python = self.userstream(table, NATIVE_ROWS="false")
                self._running[key] = self.stack.enter_context(python)
            else:
                self._running[key] = self.stack.enter_context(self.served(kind, table, {}))
        return self._running[key]

    @contextmanager
    def userstream(
        self, table: Table, *, module: str = "userstream_server", **settings: str
    ) -> Iterator[Server]:
        """Run our own server for the block.

        Args:
            table: What it serves.
            module: What to run instead, for a server that is changed in some way.
            settings: Settings without their prefix (`POOL_SIZE="8"`), or gRPC's own variables (`GRPC_…`).
        """
        named = {
            name if name.startswith("GRPC_") else f"USERSTREAM_{name}": value
            for name, value in settings.items()
        }
        with tempfile.TemporaryDirectory(prefix="us-bench-") as folder:
            paths = {"PYTHONPATH": python_environment()["PYTHONPATH"]}
            url = {"USERSTREAM_DATABASE_URL": table.url_text}
            given = {**paths, **url, **named}
            with ServerProcess(given, folder=Path(folder), module=module) as process:
                yield _Userstream(process)
                process.terminate()

    @contextmanager
    def served(
        self, kind: ServerKind, table: Table, environment: Mapping[str, str]
    ) -> Iterator[Server]:
        """Run another contestant for the block, with more variables."""
        command, own = self._command(kind, table)
        with start_announcing_port(command, {**own, **environment}) as server:
            yield server

    def _command(self, kind: ServerKind, table: Table) -> tuple[list[str], dict[str, str]]:
        if kind == "go":
            assert self.programs is not None  # noqa: S101 - callers leave Go out without it
            return [str(self.programs.server)], {"BENCH_GO_DSN": table.go_dsn}
        quickest = ["--quickest"] if kind == "quickest" else []
        environment = python_environment(USERSTREAM_DATABASE_URL=table.url_text)
        return [sys.executable, "-m", _PLAIN, *quickest], environment


@contextmanager
def open_arena(mysql_url: str | None) -> Iterator[Arena]:
    """Have everything ready for the block.

    Args:
        mysql_url: A MySQL to use; None for a private one.
    """
    try:
        programs = build_go_programs()
    except PackageNotFoundError as error:
        sys.stderr.write(f"No Go contestant: {error}\n")
        programs = None
    with open_mysql(mysql_url) as mysql, ExitStack() as stack:
        yield Arena(mysql, programs, Client(programs), stack)
