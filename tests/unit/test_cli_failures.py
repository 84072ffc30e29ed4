"""Exit codes and the one line that comes with each."""

import os
import signal
import subprocess
from pathlib import Path

import grpc
import pytest
from userstream_testing.certificates import Authority
from userstream_testing.command import COMMAND, clean_environment, run
from userstream_testing.scripted_server import (
    Fail,
    Hang,
    ScriptedServer,
    made_users,
    messages_of,
    scan_script,
)

pytestmark = pytest.mark.slow  # starts a process per test

USERS = made_users(5)
AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "The database is away.", reason="DATABASE_AWAY")


@pytest.fixture
def nobody() -> str:
    """Return a target where nobody listens."""
    with ScriptedServer() as server:
        return server.target


@pytest.mark.parametrize(
    "arguments",
    [
        ("stream", "--format", "xml"),
        ("stream", "--limit", "-1"),
        ("stream", "--limit", "many"),
        ("stream", "--consistency", "maybe"),
        ("nonsense",),
        ("export",),
        ("stream", "--nonsense"),
    ],
)
def test_bad_options_exit_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Usage goes to stderr, nothing to stdout."""
    ran = run(*arguments, cwd=tmp_path)

    assert (2, "") == (ran.code, ran.out)
    assert ran.err


def test_a_refused_request_exits_2(tmp_path: Path) -> None:
    """The server's words are the line."""
    refusal = Fail(grpc.StatusCode.INVALID_ARGUMENT, "limit: takes 0 or more", reason="INVALID")
    with ScriptedServer([refusal]) as server:
        ran = run("stream", "--target", server.target, cwd=tmp_path)

    assert (2, "", "userstream: limit: takes 0 or more\n") == (ran.code, ran.out, ran.err)


@pytest.mark.parametrize(
    "command", ["stream", "batch", "pages", "average-age", "partitions", "health"]
)
def test_no_server_exits_1(command: str, nobody: str, tmp_path: Path) -> None:
    """One line that names the option to look at; no heading is printed for what never came.

    It also shows that each command makes its call: a coroutine that nobody awaits would exit 0.
    """
    options = [] if command == "health" else ["--no-resume"]
    ran = run(command, *options, "--target", nobody, cwd=tmp_path)

    assert (1, "") == (ran.code, ran.out)
    assert 1 == len(ran.err.splitlines())
    assert ran.err.startswith("userstream: the server cannot be reached")
    assert "--target" in ran.err


def test_a_stream_that_breaks_says_how_to_resume(tmp_path: Path) -> None:
    """What came is printed; the line has the token for exactly what is missing."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=1), scan_script(USERS)) as server:
        first = run(
            "stream", "--format", "csv", "--no-resume", "--target", server.target, cwd=tmp_path
        )
        token = first.err.split()[-1]
        second = run(
            "stream",
            "--format",
            "csv",
            "--resume-token",
            token,
            "--target",
            server.target,
            cwd=tmp_path,
        )

    rest = second.out.splitlines()[1:]
    assert (1, 0) == (first.code, second.code)
    assert first.err == (
        "userstream: The database is away; 2 users are printed; resume with: userstream stream --format csv"
        f" --no-resume --target {server.target} --no-header --resume-token after:2\n"
    )
    assert [u.user_id for u in USERS] == [
        line.split(",")[0] for line in (first.out.splitlines()[1:] + rest)
    ]


def test_time_limit_exits_1(tmp_path: Path) -> None:
    """--timeout bounds the whole command."""
    with ScriptedServer([Hang()]) as server:
        ran = run("stream", "--timeout", "0.3", "--target", server.target, cwd=tmp_path)

    assert 1 == ran.code
    assert ran.err.startswith("userstream: the time limit is over")
    assert "--timeout" in ran.err


def test_damaged_data_exits_1(tmp_path: Path) -> None:
    """A receipt that differs is never passed over, nor evaded by a bare token, which skips the CRC-32."""
    messages = messages_of(USERS)
    messages[-1].receipt.user_count = 99
    with ScriptedServer(messages) as server:
        ran = run("stream", "--target", server.target, cwd=tmp_path)

    assert (1, True) == (ran.code, "but the receipt says 99" in ran.err)
    assert "--resume-token" not in ran.err


def test_a_bad_setting_exits_2(tmp_path: Path) -> None:
    """The line begins with the variable's name."""
    ran = run("stream", cwd=tmp_path, USERSTREAM_TIMEOUT_SECONDS="soon")

    assert (2, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert ran.err.startswith("USERSTREAM_TIMEOUT_SECONDS: ")


def test_a_server_that_is_not_trusted_gives_one_line(tmp_path: Path) -> None:
    """GRPC's own log of a failed handshake does not stand beside it."""
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    pair = authority.issue("server")
    credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())])
    with ScriptedServer(credentials=credentials) as server:
        ran = run(
            "stream",
            "--no-resume",
            "--target",
            server.target,
            cwd=tmp_path,
            USERSTREAM_TLS_CA=str(other.ca),
        )

    assert (1, 1) == (ran.code, len(ran.err.splitlines()))


def test_head_ends_quietly(tmp_path: Path) -> None:
    """A reader that has enough is no failure, and nobody complains about a broken pipe."""
    many = made_users(20_000)
    with ScriptedServer(scan_script(many, per_message=500)) as server:
        shell = subprocess.run(
            ["bash", "-c", '"$@" | head -1; exit ${PIPESTATUS[0]}', "-", *COMMAND, "stream"],
            cwd=tmp_path,
            env=clean_environment(USERSTREAM_TARGET=server.target),
            capture_output=True,
            timeout=60,
            check=False,
        )

    assert (0, b"user_id\tname\temail\tage\n", b"") == (
        shell.returncode,
        shell.stdout,
        shell.stderr,
    )


def test_ctrl_c_exits_130(tmp_path: Path) -> None:
    """An interrupted command ends at once, and its call with it."""
    with ScriptedServer(scan_script(USERS, Hang(), messages=1)) as server:
        process = subprocess.Popen(
            [*COMMAND, "stream", "--format", "csv"],
            cwd=tmp_path,
            env=clean_environment(USERSTREAM_TARGET=server.target),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert server.calls[0].ended.wait(10)

    assert 130 == process.returncode
    assert b"Traceback" not in err


def test_version(tmp_path: Path) -> None:
    """--version prints one line and needs no server."""
    ran = run("--version", cwd=tmp_path)

    assert (0, True) == (ran.code, ran.out.startswith("userstream "))
