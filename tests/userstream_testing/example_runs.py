"""Running an example program, and reading what it printed and reported."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from zlib import crc32

from userstream_conformance.scenario import Scenario

from userstream_testing.example_programs import Program

__all__ = ["Run", "Started", "run", "scenario_arguments"]

CALLS = {
    "StreamUsers": "stream",
    "BatchUsers": "batches",
    "Paginate": "pages",
    "AverageAge": "average",
    "StreamAverageAge": "running-average",
}
_SECONDS = 110.0
_LONGER = 5
"""A program starts more slowly than a client in the test's own process, so its limits are longer."""


@dataclass(frozen=True)
class Run:
    """What a program did.

    Attributes:
        ids: The user_ids that it printed.
        report: Its report, the last line of stderr.
        exit_code: Its exit code.
        log: All of stderr.
    """

    ids: list[str]
    report: dict[str, Any]
    exit_code: int
    log: str

    @property
    def verified(self) -> bool:
        """Whether it reported a complete result that is the one printed."""
        whole = (len(self.ids), crc32("".join(self.ids).encode()))
        reported = (self.report["user_count"], self.report["user_id_crc32"])
        return (self.exit_code, self.report["result"]) == (0, "complete") and whole == reported


class Started:
    """A running program.

    Args:
        program: Which one.
        target: The server.
        arguments: Of the program.
        settings: Environment variables.
    """

    def __init__(
        self, program: Program, target: str, arguments: Sequence[str], settings: Mapping[str, str]
    ) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("USERSTREAM_")}
        # A file, so that the program never waits for a reader of its log.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - __exit__ closes it
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            [*program.command(), *arguments],
            env={**kept, **program.environment, "USERSTREAM_TARGET": target, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
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
        self.process.kill()
        self.process.communicate()
        self._log.close()

    def read_lines(self, count: int) -> None:
        """Take lines that it prints; until more are taken it can print only what the pipe holds."""
        assert self.process.stdout
        self._lines += [self.process.stdout.readline() for _ in range(count)]

    def finish(self) -> Run:
        """Take the rest, wait for its end, and return what it did."""
        assert self.process.stdout
        lines = [*self._lines, *self.process.stdout]
        exit_code = self.process.wait(_SECONDS)
        self._log.seek(0)
        log = self._log.read()
        last = (log.splitlines() or [""])[-1]
        assert last.startswith("{"), f"no report:\n{log}"
        return Run([line.split("\t")[0] for line in lines], json.loads(last), exit_code, log)


def run(program: Program, target: str, *arguments: str, **settings: str) -> Run:
    """Run a program to its end."""
    with Started(program, target, arguments, settings) as started:
        return started.finish()


def scenario_arguments(scenario: Scenario, name: str) -> list[str]:
    """Return the arguments that make a program run a scenario under a name of its own."""
    fields, settings = scenario.fields, scenario.client
    options = {
        "--name-prefix": f"conformance:{scenario.name}:{name}",
        "--limit": fields.get("limit"),
        "--size": fields.get("batch_size") or fields.get("page_size"),
        "--timeout": _LONGER * settings.timeout_seconds,
        "--message-timeout": _LONGER * settings.attempt_timeout_seconds,
        "--cancel-after": settings.cancel_after_messages,
        "--backoff-max": 0.002,
    }
    given = [text for option, value in options.items() if value for text in (option, str(value))]
    return [CALLS[scenario.method], *given]
