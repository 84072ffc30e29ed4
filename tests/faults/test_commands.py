"""Faults 2 and 3 for the command line: every command goes on by itself, and a killed export with --resume."""

import csv
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from userstream_client.cli import app
from userstream_testing.admin import execute
from userstream_testing.command import COMMAND, clean_environment, run
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess, serving

COMMANDS = [
    ("stream", "--format", "csv"),
    ("batch", "--batch-size", "9", "--format", "ndjson"),
    ("pages", "--page-size", "40", "--format", "csv"),
    ("average-age",),
    ("average-age", "--histogram"),
    ("partitions", "--count", "4"),
    ("export", "--output", "users.csv"),
    ("export", "--output", "users.ndjson", "--format", "ndjson", "--partitions", "3"),
]


@pytest.fixture(scope="module")
def servers(
    small_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Yield two servers over the same 300 users, whose streams are many messages."""
    folder = tmp_path_factory.mktemp("commands")
    with (
        serving(small_url, folder, MESSAGE_BYTES=1024) as one,
        serving(small_url, folder, MESSAGE_BYTES=1024) as other,
    ):
        yield one, other


def said(target: str, arguments: tuple[str, ...], folder: Path) -> tuple[int, str, dict[str, str]]:
    """Run a command; return its exit code, what it printed, and what files it left."""
    folder.mkdir()
    inside = [str(folder / a) if a.startswith("users.") else a for a in arguments]
    ran = CliRunner().invoke(app, [*inside, "--target", target])
    files = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    return ran.exit_code, ran.stdout, files


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_goes_on(
    servers: tuple[ServerProcess, ServerProcess],
    tmp_path: Path,
    faults: FaultReport,
    arguments: tuple[str, ...],
) -> None:
    """Over connections that break, to two servers in turn, a command prints and writes what it does without faults."""
    one, other = servers
    code, printed, files = said(one.target, arguments, tmp_path / "without")
    with FaultProxy(one.port, other.port) as proxy:
        cuts = (1, 70, 140, 2_500, 4_000, 3_000, 6_000, 2_000)
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


def killed_while_writing(folder: Path, target: str, *options: str) -> dict[str, int]:
    """Kill an export when all its parts have begun; return the parts' sizes."""
    command = [*COMMAND, "export", "--output", "users.csv", "--target", target, *options]
    with subprocess.Popen(command, cwd=folder, env=clean_environment()) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            sizes = {path.name: path.stat().st_size for path in folder.glob(".users.csv.part-*")}
            # Saved about once a second: wait for a state that says more than the start.
            state = folder / ".users.csv.export.json"
            if sizes and state.exists() and '"byte_offset": 0' not in state.read_text("utf-8"):
                break
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return sizes


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize("partitions", [1, 4])
def test_a_killed_export_goes_on_at_another_server(
    large_url: str, tmp_path: Path, faults: FaultReport, partitions: int, rounds: int
) -> None:
    """SIGKILL of an export while it writes; --resume at another server, over breaking connections, completes it."""
    expected = [
        row[0] for row in execute(large_url, "SELECT user_id FROM user_data ORDER BY user_id")
    ]
    options = ("--partitions", str(partitions))
    with serving(large_url, tmp_path) as one, serving(large_url, tmp_path) as other:
        for _ in range(rounds):
            with FaultProxy(one.port) as slow, FaultProxy(other.port) as breaking:
                slow.plans.extend(
                    Plan(latency_seconds=0.02 * partitions, slice_bytes=30_000) for _ in range(9)
                )
                sizes = killed_while_writing(tmp_path, slow.target, *options)
                breaking.plans.extend(Plan(cut_after=after) for after in (90, 100_000, 400_000))
                before: Any = sum(breaking.passed)
                with faults.round(f"3 SIGKILL of an export in {partitions}, --resume"):
                    ran = run(
                        *("export", "--output", "users.csv", "--target", breaking.target),
                        *("--resume", *options),
                        cwd=tmp_path,
                    )

                    assert (0, "") == (ran.code, ran.err)
                    assert expected == ids_in(tmp_path / "users.csv")
                # Less came the second time than the whole.
                again = sum(breaking.passed) - before
                assert again < (tmp_path / "users.csv").stat().st_size
                assert all(sizes.values())
                assert not list(tmp_path.glob(".users.csv*"))
            (tmp_path / "users.csv").unlink()
