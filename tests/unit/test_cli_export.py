"""Exports: whole or not there, verified, and resumed after a break."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.command import (
    COMMAND,
    Ran,
    clean_environment,
    run_here,
    run_on_terminal,
)
from userstream_testing.scripted_server import (
    Fail,
    Hang,
    ScriptedServer,
    Step,
    made_users,
    messages_of,
    scan_script,
)

USERS = made_users(9)
USERS[3].name = 'a "name",\nof two\rlines\0'
AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "The database is away.", reason="DATABASE_AWAY")


def export(server: ScriptedServer, folder: Path, *options: str) -> Ran:
    return run_here(
        "export", "--output", "users.out", "--target", server.target, *options, cwd=folder
    )


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def wanted(users: Sequence[pb.User]) -> list[list[str]]:
    heading = ["user_id", "name", "email", "age"]
    return [heading, *([u.user_id, u.name, u.email, str(u.age)] for u in users)]


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_csv(tmp_path: Path) -> None:
    """A heading and all users; nothing else is left beside the file, nothing printed."""
    with ScriptedServer(scan_script(USERS)) as server:
        ran = export(server, tmp_path)

    assert Ran(0, "", "") == ran
    assert wanted(USERS) == read_csv(tmp_path / "users.out")
    assert ["users.out"] == left_in(tmp_path)


def test_ndjson(tmp_path: Path) -> None:
    """One object a line."""
    with ScriptedServer(scan_script(USERS)) as server:
        export(server, tmp_path, "--format", "ndjson")

    lines = (tmp_path / "users.out").read_text("utf-8").split("\n")[:-1]
    assert wanted(USERS)[1:] == [[str(v) for v in json.loads(line).values()] for line in lines]


def test_no_users(tmp_path: Path) -> None:
    """An empty table gives a heading alone."""
    with ScriptedServer(scan_script([])) as server:
        ran = export(server, tmp_path)

    assert (0, wanted([])) == (ran.code, read_csv(tmp_path / "users.out"))


@pytest.mark.parametrize("what", ["fails", "lies"])
def test_a_failed_export_leaves_the_old_file(what: str, tmp_path: Path) -> None:
    """Neither a failure nor a receipt that differs touches what is there."""
    old = tmp_path / "users.out"
    old.write_text("old")
    lying = messages_of(USERS)
    lying[-1].receipt.user_id_crc32 += 1
    script: Any = scan_script(USERS, AWAY, messages=2) if what == "fails" else lying
    with ScriptedServer(script) as server:
        ran = export(server, tmp_path, "--no-resume")

    assert (1, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert "old" == old.read_text()


def test_a_broken_export_goes_on(tmp_path: Path) -> None:
    """--resume asks for what is missing only, and the receipt of the whole is checked."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), scan_script(USERS)) as server:
        first = export(server, tmp_path, "--no-resume")
        second = export(server, tmp_path, "--resume")

    assert (
        "userstream: The database is away; 4 users (314 bytes) of users.out are kept; resume with:"
        f" userstream export --output users.out --target {server.target} --no-resume --resume\n"
        == first.err
    )
    assert 0 == second.code
    assert "after:4" == server.calls[1].request.resume_token
    assert wanted(USERS) == read_csv(tmp_path / "users.out")
    assert ["users.out"] == left_in(tmp_path)


def test_rows_behind_the_checkpoint_are_written_again(tmp_path: Path) -> None:
    """What a killed process wrote without saying so is cut off, not doubled."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), scan_script(USERS)) as server:
        export(server, tmp_path, "--no-resume")
        with (tmp_path / ".users.out.part-0").open("a") as part:
            part.write("half a row that no checkpoint")
        export(server, tmp_path, "--resume")

    assert wanted(USERS) == read_csv(tmp_path / "users.out")


def test_resume_verifies_from_the_first_row_on(tmp_path: Path) -> None:
    """A receipt that differs only in rows of the earlier run is refused."""
    others = made_users(9)
    others[0].user_id = "00000000-0000-4000-8000-000000000000"
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), scan_script(others)) as server:
        export(server, tmp_path, "--no-resume")
        second = export(server, tmp_path, "--resume")

    assert (1, True) == (second.code, "CRC-32 differs" in second.err)
    assert not (tmp_path / "users.out").exists()


def test_without_resume_everything_is_read_again(tmp_path: Path) -> None:
    """An earlier break leaves nothing in the way."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), scan_script(USERS)) as server:
        export(server, tmp_path, "--no-resume")
        export(server, tmp_path)

    assert "" == server.calls[1].request.resume_token
    assert wanted(USERS) == read_csv(tmp_path / "users.out")


def test_resume_with_other_options_is_refused(tmp_path: Path) -> None:
    """Two halves of different exports never make one file."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2)) as server:
        export(server, tmp_path, "--no-resume")
        ran = export(server, tmp_path, "--resume", "--age-over", "30")

    assert (2, 1) == (ran.code, len(server.calls))
    assert "other options" in ran.err


def halves() -> tuple[pb.PartitionUsersResponse, Any]:
    """Return two partitions, and a script that serves either."""
    response = pb.PartitionUsersResponse()
    response.partitions.add(partition="low", estimated_users=5)
    response.partitions.add(partition="high", estimated_users=4)

    def serve(request: Any) -> Sequence[Step]:
        users = USERS[:5] if request.partition == "low" else USERS[5:]
        return scan_script(users)(request)

    return response, serve


@pytest.mark.parametrize("style", ["csv", "ndjson"])
def test_partitions_come_out_in_key_order(style: str, tmp_path: Path) -> None:
    """Read side by side, written as if read one after another: one heading, all rows in order."""
    response, serve = halves()
    with ScriptedServer([response], serve, serve, scan_script(USERS)) as server:
        export(server, tmp_path, "--partitions", "2", "--format", style)
        several = (tmp_path / "users.out").read_bytes()
        export(server, tmp_path, "--format", style)

    assert (tmp_path / "users.out").read_bytes() == several
    assert ["users.out"] == left_in(tmp_path)


def test_a_broken_partition_goes_on(tmp_path: Path) -> None:
    """Only the partition that broke is read again, from its own checkpoint."""
    response, serve = halves()

    def broken(request: Any) -> Sequence[Step]:
        steps = serve(request)
        return [steps[0], AWAY] if request.partition == "high" else steps

    with ScriptedServer([response], broken, broken, serve, serve) as server:
        first = export(server, tmp_path, "--partitions", "2", "--no-resume")
        second = export(server, tmp_path, "--partitions", "2", "--resume")

    assert (1, 0) == (first.code, second.code)
    assert "after:2" in [c.request.resume_token for c in server.calls if c.method == "StreamUsers"]
    assert wanted(USERS) == read_csv(tmp_path / "users.out")


@pytest.mark.slow
def test_killed_and_resumed(tmp_path: Path) -> None:
    """SIGKILL in the middle of an export costs nothing that was saved."""
    with ScriptedServer(scan_script(USERS, Hang(), messages=3), scan_script(USERS)) as server:
        process = subprocess.Popen(
            [*COMMAND, "export", "--output", "users.out", "--target", server.target],
            cwd=tmp_path,
            env=clean_environment(),
        )
        server.wait_until_hanging(60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        ran = export(server, tmp_path, "--resume")

    assert (0, wanted(USERS)) == (ran.code, read_csv(tmp_path / "users.out"))


@pytest.mark.slow
def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """A bar while it runs and a line at the end."""
    with ScriptedServer(scan_script(USERS)) as server:
        ran = run_on_terminal(
            "export", "--output", "u.csv", "--target", server.target, cwd=tmp_path
        )

    assert 0 == ran.code
    assert "exporting" in ran.out
    assert "9 users, all accounted for, in u.csv" in ran.out


@pytest.mark.parametrize(
    "options",
    [
        ("--output", "missing/u.csv"),
        ("--output", "."),
        ("--output", "/dev/null"),
        ("--output", "u.csv", "--limit", "3", "--partitions", "2"),
        ("--output", "u.parquet", "--format", "parquet"),
        ("--output", "u.arrow", "--format", "arrow"),
    ],
)
def test_what_cannot_be_written_is_said_first(options: tuple[str, ...], tmp_path: Path) -> None:
    """Before any call: a folder that is missing, no file, options that do not go together, no pyarrow."""
    # As if it were not installed: how Python itself notes that a module is missing.
    with ScriptedServer() as server, mock.patch.dict(sys.modules, {"pyarrow": None}):
        ran = run_here("export", *options, "--target", server.target, cwd=tmp_path)

    assert (2, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert [] == server.calls
    assert ("pip install 'userstream[arrow]'" in ran.err) == ("--format" in options)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that the output points to is replaced."""
    (tmp_path / "there").mkdir()
    (tmp_path / "users.out").symlink_to("there/users.csv")
    with ScriptedServer(scan_script(USERS)) as server:
        export(server, tmp_path)

    assert (tmp_path / "users.out").is_symlink()
    assert wanted(USERS) == read_csv(tmp_path / "there/users.csv")
