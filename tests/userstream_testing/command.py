"""The client's command line as real processes, in pipes and on terminals."""

import io
import os
import pty
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from userstream_client.cli import main

__all__ = ["COMMAND", "Ran", "clean_environment", "run", "run_here", "run_on_terminal"]

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


def run_on_terminal(*arguments: str, cwd: Path, **settings: str) -> Ran:
    """Run `userstream` with one pseudo-terminal as stdout and stderr; all is in `out`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
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
    return Ran(process.wait(_SECONDS), shown.decode(), "")
