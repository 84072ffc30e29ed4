"""The client's command line as real processes, in pipes and on terminals."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from userstream_client.cli import main

__all__ = [
    "COMMAND",
    "Ran",
    "clean_environment",
    "plain",
    "read_terminal",
    "run",
    "run_here",
    "run_on_terminal",
    "start_on_terminal",
]

COMMAND = (sys.executable, "-W", "error", "-c", "from userstream_client.cli import main; main()")
_SECONDS = 60


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def clean_environment(**settings: str) -> dict[str, str]:
    """Return the environment with these settings of ours and no other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("USERSTREAM_")}
    return kept | {"COLUMNS": "120", "TERM": "xterm"} | settings


def run(*arguments: str, cwd: Path, **settings: str) -> Ran:
    """Run `userstream` in pipes.

    Args:
        arguments: Its arguments.
        cwd: Its folder, where it looks for `.env`.
        settings: `USERSTREAM_…` variables.
    """
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def run_here(*arguments: str, cwd: Path, **settings: str) -> Ran:
    """Run `userstream` in this process, which is many times quicker; see `run` for the arguments."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    # Asked for by name, gRPC's own log lines are left where they are: on the standard error of the tests.
    environment = clean_environment(**settings) | {"GRPC_VERBOSITY": "ERROR"}
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", ["userstream", *arguments]),
        chdir(cwd),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = _exit_code()
    for stream in (out, err):
        stream.flush()
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Ran(code, *written)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def run_on_terminal(*arguments: str, cwd: Path, columns: int = 120, **settings: str) -> Ran:
    """Run `userstream` with one pseudo-terminal as stdout and stderr; all is in `out`.

    Args:
        arguments: Its arguments.
        cwd: Its folder.
        columns: How wide the terminal is.
        settings: `USERSTREAM_…` variables.
    """
    ours, process = start_on_terminal(*arguments, cwd=cwd, columns=columns, stdout=None, **settings)
    shown = read_terminal(ours)
    return Ran(process.wait(_SECONDS), shown, "")


def start_on_terminal(
    *arguments: str, cwd: Path, columns: int = 120, stdout: int | None = None, **settings: str
) -> tuple[int, subprocess.Popen[bytes]]:
    """Start `userstream` on a pseudo-terminal; return our end of it, and the process.

    Args:
        arguments: Its arguments.
        cwd: Its folder.
        columns: How wide the terminal is.
        stdout: A file or pipe for its standard output; None for the terminal.
        settings: `USERSTREAM_…` variables.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = clean_environment(**settings)
    del environment["COLUMNS"]  # the terminal itself says how wide it is
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
    )
    os.close(theirs)
    return ours, process


def read_terminal(ours: int) -> str:
    """Return everything that a process writes to its terminal, and close our end."""
    shown = b""
    while True:
        try:
            some = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not some:
            break
        shown += some
    os.close(ours)
    return shown.decode()


def plain(shown: str) -> str:
    """Return a terminal's text without colours and other sequences, with line feeds only."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r\n", "\n")
