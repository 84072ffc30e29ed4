"""`userstream` started many times a second: one process imports it, and forks for each run."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from userstream_testing.command import clean_environment

__all__ = ["ForkingCommand"]

# Nothing of gRPC is used before the fork: it is only imported.
_PROGRAM = """
import json, os, sys
import userstream_client.cli as cli
from userstream_client.cli.export import parts

parts._SAVE_SECONDS = float(sys.argv[1])
while line := sys.stdin.readline():
    folder, arguments = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        sys.argv = ["userstream", *arguments]
        try:
            cli.main()
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
        os._exit(0)
    print(pid, flush=True)
    sys.stdin.readline()  # until then the process may be killed, even when it has ended
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class ForkingCommand:
    """Runs the command in forks of one process, one run at a time.

    Args:
        save_seconds: How often an export saves what it has, so that short ones save too.
    """

    def __init__(self, save_seconds: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(save_seconds)],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=60)

    def start(self, folder: Path, *arguments: str) -> int:
        """Start a run, and return its process id, which stays its own until `code` is called."""
        self._send(json.dumps([str(folder), arguments]))
        return self._number()

    def code(self) -> int:
        """Wait for the run's end, and return its exit code; negative for a signal."""
        self._send("wait")
        return self._number()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())
