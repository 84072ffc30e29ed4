"""`--output -`: verified as any other export, but nothing of it can be resumed, and that is said."""

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from userstream_testing.command import COMMAND, Ran, clean_environment, run_here
from userstream_testing.scripted_server import (
    Fail,
    Hang,
    ScriptedServer,
    made_users,
    messages_of,
    scan_script,
)

USERS = made_users(9)
CSV = "".join(
    ["user_id,name,email,age\n", *(f"{u.user_id},{u.name},{u.email},{u.age}\n" for u in USERS)]
).encode()
AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "The database is away.", reason="DATABASE_AWAY")


def export(server: ScriptedServer, folder: Path, name: str, *options: str) -> Ran:
    return run_here("export", "--output", name, "--target", server.target, *options, cwd=folder)


def test_standard_output(tmp_path: Path) -> None:
    """`-` is standard output, not a file of that name; csv unless --format says otherwise."""
    with ScriptedServer(scan_script(USERS), scan_script(USERS)) as server:
        ran = export(server, tmp_path, "-")
        lines = export(server, tmp_path, "-", "--format", "ndjson")

    assert Ran(0, CSV.decode(), "") == ran
    assert [u.user_id for u in USERS] == [json.loads(x)["user_id"] for x in lines.out.splitlines()]
    assert [] == list(tmp_path.iterdir())


def test_a_file_named_like_standard_output(tmp_path: Path) -> None:
    """`./-` still is a file."""
    with ScriptedServer(scan_script(USERS)) as server:
        export(server, tmp_path, "./-")

    assert CSV == (tmp_path / "-").read_bytes()


@pytest.mark.parametrize("what", ["breaks", "lies"])
def test_standard_output_is_verified_too(what: str, tmp_path: Path) -> None:
    """Exit code 1 and a line that says that what was written is not the whole, and cannot be resumed."""
    lying = messages_of(USERS)
    lying[-1].receipt.user_id_crc32 += 1
    script: Any = scan_script(USERS, AWAY, messages=2) if what == "breaks" else lying
    with ScriptedServer(script) as server:
        ran = export(server, tmp_path, "-", "--no-resume")

    assert (1, 1) == (ran.code, len(ran.err.splitlines()))
    assert "is not the whole, and cannot be resumed" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("packed", ["none", "gzip"])
def test_standard_output_into_a_pipe(packed: str, tmp_path: Path) -> None:
    """A real pipe, compressed or not."""
    with ScriptedServer(scan_script(USERS)) as server:
        command = [*COMMAND, "export", "--output", "-", "--compress", packed]
        ran = subprocess.run(
            [*command, "--target", server.target],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )

    assert (0, b"") == (ran.returncode, ran.stderr)
    assert CSV == (ran.stdout if packed == "none" else gzip.decompress(ran.stdout))


@pytest.mark.slow
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """What it read is not the whole, so the exit code is not 0; no traceback either."""
    many = made_users(20_000)
    with ScriptedServer(scan_script(many, per_message=500)) as server:
        shell = subprocess.run(
            [
                *("bash", "-c", '"$@" | head -1; exit ${PIPESTATUS[0]}', "-"),
                *(*COMMAND, "export", "--output", "-"),
            ],
            cwd=tmp_path,
            env=clean_environment(USERSTREAM_TARGET=server.target),
            capture_output=True,
            timeout=60,
            check=False,
        )

    assert (1, b"user_id,name,email,age\n") == (shell.returncode, shell.stdout)
    assert shell.stderr.startswith(b"userstream: cannot write to standard output: Broken pipe; ")
    assert 1 == len(shell.stderr.splitlines())


@pytest.mark.slow
def test_standard_output_that_is_full(tmp_path: Path) -> None:
    """The device that is always full gives exit code 1."""
    with ScriptedServer(scan_script(USERS)) as server, Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*COMMAND, "export", "--output", "-", "--target", server.target],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert (1, 1) == (ran.returncode, len(ran.stderr.splitlines()))
    assert "cannot write to standard output: No space left on device" in ran.stderr


@pytest.mark.slow
def test_ctrl_c_at_standard_output(tmp_path: Path) -> None:
    """Exit code 130, and the line says that nothing can be resumed."""
    with ScriptedServer(scan_script(USERS, Hang(), messages=1)) as server:
        process = subprocess.Popen(
            [*COMMAND, "export", "--output", "-", "--target", server.target],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        os.kill(process.pid, 2)
        _, err = process.communicate(timeout=20)

    assert 130 == process.returncode
    assert err.startswith("userstream: interrupted; what was written to standard output")
    assert 1 == len(err.splitlines())
