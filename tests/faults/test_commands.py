"""Faults 2 and 3 for the command line: every command goes on by itself, and a killed export with --resume."""

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from userstream_client.cli import app
from userstream_testing.admin import execute
from userstream_testing.command import COMMAND, clean_environment, run
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess

COMMANDS: list[Any] = [
    ("stream", "--format", "csv"),
    ("batch", "--batch-size", "9", "--format", "ndjson"),
    ("pages", "--page-size", "40", "--format", "csv"),
    ("average-age",),
    ("partitions", "--count", "4"),
    pytest.param(("average-age", "--histogram"), marks=pytest.mark.long),
    pytest.param(("export", "--output", "users.csv"), marks=pytest.mark.long),
    ("export", "--output", "users.ndjson", "--format", "ndjson", "--partitions", "3"),
]


def said(target: str, arguments: tuple[str, ...], folder: Path) -> tuple[int, str, dict[str, str]]:
    """Run a command; return its exit code, what it printed, and what files it left."""
    folder.mkdir()
    inside = [str(folder / a) if a.startswith("users.") else a for a in arguments]
    ran = CliRunner().invoke(app, [*inside, "--target", target])
    files = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert ran.exception is None, ran.exception
    return ran.exit_code, ran.stdout, files


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_goes_on(
    small_servers: tuple[ServerProcess, ServerProcess],
    tmp_path: Path,
    faults: FaultReport,
    arguments: tuple[str, ...],
) -> None:
    """Over connections that break, to two servers in turn, a command prints and writes what it does without faults."""
    one, other = small_servers
    code, printed, files = said(one.target, arguments, tmp_path / "without")
    with FaultProxy(one.port, other.port) as proxy:
        cuts = (140, 1, 70, 2_500, 4_000, 3_000)
        proxy.plans.extend(Plan(cut_after=after) for after in cuts)
        with faults.round("2 command over connections that break"):
            found = said(proxy.target, arguments, tmp_path / "with")

            assert (0, printed, files) == found
        assert len(proxy.passed) > 3
    assert code == 0
    assert printed or files


def ids_in(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["user_id"] for row in csv.DictReader(file)]


def kill_while_writing(folder: Path, target: str, *options: str) -> int:
    """Kill an export as soon as each of its parts has saved something; return how many users."""
    state = folder / ".users.csv.export.json"
    command = [*COMMAND, "export", "--target", target, *options]
    with subprocess.Popen(command, cwd=folder, env=clean_environment()) as process:
        deadline = time.monotonic() + 60
        while not state.exists() or '"byte_offset": 0' in state.read_text("utf-8"):
            assert time.monotonic() < deadline
            assert process.poll() is None, "the export ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    parts = json.loads(state.read_text("utf-8"))["parts"]
    return sum(part["checkpoint"]["user_count"] for part in parts)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("partitions", "rounds"),
    [(3, 1), *(pytest.param(n, 10, marks=pytest.mark.long) for n in (1, 4))],
)
def test_a_killed_export_goes_on_at_another_server(
    small_servers: tuple[ServerProcess, ServerProcess],
    small_url: str,
    tmp_path: Path,
    faults: FaultReport,
    partitions: int,
    rounds: int,
) -> None:
    """SIGKILL of an export while it writes; --resume at another server, over breaking connections, completes it."""
    expected = [
        row[0] for row in execute(small_url, "SELECT user_id FROM user_data ORDER BY user_id")
    ]
    one, other = small_servers
    options = ("--output", "users.csv", "--partitions", str(partitions))
    for _ in range(rounds):
        before = len(other.events("call"))
        with FaultProxy(one.port) as slow, FaultProxy(other.port) as breaking:
            # For every connection: a client that connects again must not finish before it is killed.
            slow.plans.extend(Plan(latency_seconds=0.05, slice_bytes=800) for _ in range(20))
            saved = kill_while_writing(tmp_path, slow.target, *options)
            breaking.plans.extend(Plan(cut_after=after) for after in (3_000, 90, 9_000))
            with faults.round("3 SIGKILL of an export, --resume at another server"):
                ran = run("export", "--target", breaking.target, "--resume", *options, cwd=tmp_path)

                assert (0, "") == (ran.code, ran.err)
                assert expected == ids_in(tmp_path / "users.csv")
        calls = other.events("call")[before:]
        assert {"StreamUsers"} == {call["method"] for call in calls}, "the ranges were kept"
        assert 0 < saved < len(expected)
        assert max(call["rows"] for call in calls) <= len(expected) - saved
        assert ["users.csv"] == [path.name for path in tmp_path.iterdir()]
        (tmp_path / "users.csv").unlink()
