"""What is on disk is proved before an export continues and before it is published."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.command import COMMAND, Ran, clean_environment, run_here
from userstream_testing.scripted_server import (
    Fail,
    Hang,
    ScriptedServer,
    Step,
    made_users,
    scan_script,
)
from userstream_testing.waiting import until

pytestmark = pytest.mark.slow

USERS = made_users(9)
AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "The database is away.", reason="DATABASE_AWAY")
PART = ".users.out.part-0"


def export(server: ScriptedServer, folder: Path, *options: str) -> Ran:
    return run_here(
        "export", "--output", "users.out", "--target", server.target, *options, cwd=folder
    )


def shorten(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-5])


def empty(part: Path) -> None:
    part.write_bytes(b"")


def change(part: Path) -> None:
    whole = bytearray(part.read_bytes())
    whole[10] ^= 1
    part.write_bytes(whole)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [(shorten, "shortened"), (empty, "shortened"), (change, "changed"), (Path.unlink, "removed")],
)
def test_a_spoiled_part_is_refused(
    spoil: Callable[[Path], None], word: str, tmp_path: Path
) -> None:
    """Holes are not filled and edits not published; the message says what to do."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), scan_script(USERS)) as server:
        export(server, tmp_path, "--no-resume")
        spoil(tmp_path / PART)
        second = export(server, tmp_path, "--resume")

    assert (1, "", 1) == (second.code, second.out, len(second.err.splitlines()))
    assert f"{PART} was {word}" in second.err
    assert "without --resume" in second.err
    assert not (tmp_path / "users.out").exists()


@pytest.mark.parametrize("style", ["csv", "ndjson", "parquet", "arrow"])
def test_what_was_added_to_a_finished_part_is_not_published(style: str, tmp_path: Path) -> None:
    """A part that needs no more rows is cut to its safe bytes too, whether it is the first or another."""
    low_and_high = pb.PartitionUsersResponse()
    low_and_high.partitions.add(partition="low", estimated_users=5)
    low_and_high.partitions.add(partition="high", estimated_users=4)

    def serve(request: Any) -> Sequence[Step]:
        return scan_script(USERS[:5] if request.partition == "low" else USERS[5:])(request)

    def broken(request: Any) -> Sequence[Step]:
        if request.partition == done:
            return serve(request)
        # The first failure ends the other part, too, which must be complete by then.
        until(lambda: state.exists() and '"done": true' in state.read_text("utf-8"))
        return [AWAY]

    options = ("--partitions", "2", "--format", style, "--no-resume")
    for number, done in enumerate(("low", "high")):
        (folder := tmp_path / done).mkdir()
        state = folder / ".users.out.export.json"
        (whole := tmp_path / f"{done}-whole").mkdir()
        with ScriptedServer([low_and_high], broken, broken, serve, serve) as server:
            export(server, folder, *options)
            part = folder / f".users.out.part-{number}"
            # A whole line more, which is well-formed in every format.
            with part.open("ab") as file:
                file.write(part.read_bytes().splitlines(keepends=True)[-1])
            second = export(server, folder, *options, "--resume")
        with ScriptedServer([low_and_high], serve, serve) as server:
            export(server, whole, *options)

        assert 0 == second.code
        assert (whole / "users.out").read_bytes() == (folder / "users.out").read_bytes()


@pytest.mark.parametrize("text", ["{", '{"version": 1, "options": {}, "parts": []}'])
def test_a_state_that_cannot_be_read_is_refused(text: str, tmp_path: Path) -> None:
    """--resume never begins again without a word; without it, the export starts afresh."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), scan_script(USERS)) as server:
        export(server, tmp_path, "--no-resume")
        (tmp_path / ".users.out.export.json").write_text(text)
        second = export(server, tmp_path, "--resume")

        assert (1, 1) == (second.code, len(second.err.splitlines()))
        assert "without --resume" in second.err
        assert not (tmp_path / "users.out").exists()

        third = export(server, tmp_path)

    assert 0 == third.code
    assert ["users.out"] == [path.name for path in tmp_path.iterdir()]


def test_starting_again_after_a_refusal(tmp_path: Path) -> None:
    """What the message advises works."""
    script = scan_script(USERS, AWAY, messages=2)
    with ScriptedServer(script, scan_script(USERS)) as server:
        export(server, tmp_path, "--no-resume")
        empty(tmp_path / PART)
        export(server, tmp_path, "--resume")
        third = export(server, tmp_path)

    assert 0 == third.code
    assert 10 == len((tmp_path / "users.out").read_text("utf-8").splitlines())
    assert ["users.out"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.slow
def test_one_export_at_a_time(tmp_path: Path) -> None:
    """The second says who holds the output and touches nothing; the lock dies with its process."""
    hanging = scan_script(USERS, Hang(), messages=2)
    with ScriptedServer(hanging, scan_script(USERS)) as server:
        command = [*COMMAND, "export", "--output", "users.out", "--target", server.target]
        first = subprocess.Popen(
            command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.DEVNULL
        )
        try:
            until((tmp_path / PART).exists)
            before = (tmp_path / PART).stat().st_ino
            second = export(server, tmp_path)

            assert (1, 1) == (second.code, len(second.err.splitlines()))
            assert f"process {first.pid} is exporting" in second.err
            assert before == (tmp_path / PART).stat().st_ino
        finally:
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        third = export(server, tmp_path)

    assert 0 == third.code
    assert 10 == len((tmp_path / "users.out").read_text("utf-8").splitlines())
    assert ["users.out"] == [path.name for path in tmp_path.iterdir()]
