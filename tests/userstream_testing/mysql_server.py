"""A private MySQL or MariaDB server on a free loopback port, for as long as a test or benchmark needs it."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from userstream_testing.debian_packages import cache_folder, locked
from userstream_testing.mysql_binaries import (
    Engine,
    ServerProgram,
    find_server,
)

__all__ = ["PrivateServer", "free_port"]

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-log-bin",
    "--max-connections=500",
    "--innodb-buffer-pool-size=512M",
    "--innodb-flush-log-at-trx-commit=2",
    "--secure-file-priv=",
)
_MYSQL_OPTIONS = ("--mysqlx=OFF", "--log-error-verbosity=1")
_DIE_WITH_PARENT = """
import contextlib, ctypes, os, signal, sys
with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Has the kernel end the server with the process that started it, however that ends (Linux only).

A program of its own, and no function between fork and exec: beside gRPC's threads that would crash.
"""


class PrivateServer:
    """A running server with an account that may do everything; use it as a context manager.

    Args:
        engine: `mysql` or `mariadb`.
        options: More options for the server program.
        account: The account's name and password; a password of its own by default.

    Attributes:
        options: The same; others count from the next start.
        url: `mysql://user:password@127.0.0.1:port`, without a database.
        port: Its port; the same after `restart`.
        program: What runs.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        engine: Engine = "mysql",
        options: Sequence[str] = (),
        account: tuple[str, str] | None = None,
    ) -> None:
        """Start the server.

        Raises:
            ProgramNotFoundError: There is no server program.
            RuntimeError: It does not start; the message has the end of its log.
        """
        self.program = find_server(engine)
        self.user, self.password = account or ("tester", secrets.token_urlsafe(12))
        self.port = free_port()
        self.options = tuple(options)
        # Short, because a socket's path may have 107 bytes only.
        self._folder = Path(tempfile.mkdtemp(prefix="us-my-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._copy_data()
            self._write_account()
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where it is, for the account that may do everything."""
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the server, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it again after `kill`, with the same data and port."""
        log = (self._folder / "log").open("ab")
        command = [
            *(sys.executable, "-ISc", _DIE_WITH_PARENT),
            *_base_command(self.program),
            f"--datadir={self._folder}/data",
            f"--port={self.port}",
            f"--socket={self._folder}/s",
            f"--pid-file={self._folder}/pid",
            f"--init-file={self._folder}/account.sql",
            *_OPTIONS,
            *(_MYSQL_OPTIONS if self.program.engine == "mysql" else ()),
            *self.options,
        ]
        with log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def restart_empty(self) -> None:
        """Kill it and start it again with the data of a new server."""
        self.kill()
        shutil.rmtree(self._folder / "data")
        self._copy_data()
        self.start()

    def wait_until_ended(self) -> None:
        """Wait until it ends by itself, as it does after a clone; `start` starts it again.

        Raises:
            TimeoutExpired: It goes on.
        """
        assert self._process is not None
        self._process.wait(_START_SECONDS)

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its data."""
        if self._process is not None:
            # The data is thrown away, so there is nothing to shut down in good order for.
            self._end(signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _copy_data(self) -> None:
        # Without the identity that the prepared data has: in a cluster each server needs one of its own.
        data, without = _prepared_data(self.program), shutil.ignore_patterns("auto.cnf")
        shutil.copytree(data, self._folder / "data", ignore=without)

    def _write_account(self) -> None:
        """Write the statements the server runs at each start."""
        account = f"'{self.user}'@'%'"
        (self._folder / "account.sql").write_text(
            # Every server makes the account itself; replicas must not get it from the others again.
            "SET SESSION sql_log_bin = 0;\n"
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION;\n",
            encoding="utf-8",
        )

    def _wait_until_ready(self) -> None:
        """Wait for the greeting that a server sends to whoever connects."""
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with socket.create_connection((self.host, self.port), timeout=1) as connection:
                    # Length, number, then the protocol's version 10; an error would begin with 255.
                    if connection.recv(5)[4:] == b"\x0a":
                        return
            except OSError:
                pass
            time.sleep(0.05)
        tail = (self._folder / "log").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"{self.program.engine} {self.program.version} does not start:\n{tail}")


def free_port() -> int:
    """Return a loopback port that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _base_command(program: ServerProgram) -> list[str]:
    """Return the options that starting and preparing share."""
    command = [*program.command, "--no-defaults"]
    if os.geteuid() == 0:
        command.append("--user=root")
    if program.share is not None:
        command.append(f"--lc-messages-dir={program.share}")
        if program.engine == "mariadb":
            command.append(f"--character-sets-dir={program.share / 'charsets'}")
    return command


def _prepared_data(program: ServerProgram) -> Path:
    """Return a data folder made once for each version; copying it is much quicker than making one."""
    folder = cache_folder() / f"{program.engine}-data-{program.version}"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".data-") as scratch:
                data = Path(scratch) / "data"
                prepare = _prepare_mariadb if program.engine == "mariadb" else _prepare_mysql
                prepare(program, data)
                data.rename(folder)
    return folder


def _prepare_mysql(program: ServerProgram, data: Path) -> None:
    _run([*_base_command(program), "--initialize-insecure", f"--datadir={data}"], b"")


def _prepare_mariadb(program: ServerProgram, data: Path) -> None:
    """Do what mariadb-install-db does: feed the system tables' SQL to a bootstrapping server."""
    (data / "mysql").mkdir(parents=True)
    share = program.share or Path("/usr/share/mysql")
    names = (
        "mariadb_system_tables.sql",
        "mariadb_performance_tables.sql",
        "mariadb_system_tables_data.sql",
    )
    found = [share / name if (share / name).exists() else share / name.replace("mariadb", "mysql", 1)
             for name in names]  # fmt: skip
    texts = [path.read_bytes() for path in found if path.exists()]
    script = b"use mysql;\n" + b"\n".join(texts)
    _run(
        [*_base_command(program), "--bootstrap", f"--datadir={data}", "--skip-grant-tables"], script
    )


def _run(command: list[str], script: bytes) -> None:
    done = subprocess.run(command, input=script, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"Preparing data failed:\n{done.stderr.decode(errors='replace')[-2000:]}"
        )
