"""Commands that do not come to their end say what is kept, and the command that resumes them."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client.cli._printing import resume_command
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
CSV = ["user_id,name,email,age"] + [f"{u.user_id},{u.name},{u.email},{u.age}" for u in USERS]
AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "The database is away.", reason="DATABASE_AWAY")


def resumed(said: str, folder: Path) -> Ran:
    """Run the command that a message names."""
    _, _, command = said.rstrip("\n").partition("; resume with: ")
    assert command.startswith("userstream "), said
    return run_here(*shlex.split(command)[1:], cwd=folder)


def started(*arguments: str, folder: Path, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "hung up"),
    ],
)
def test_a_stream_into_a_file(number: int, code: int, word: str, tmp_path: Path) -> None:
    """What the file holds, and what the named command appends to it, are the whole: no line twice or missing."""
    file = tmp_path / "users.csv"
    with ScriptedServer(scan_script(USERS, Hang(), messages=3), scan_script(USERS)) as server:
        with file.open("w") as out:
            process = started(
                *("stream", "--format", "csv", "--target", server.target),
                folder=tmp_path,
                stdout=out,
            )
            server.wait_until_hanging(60)
            while len(file.read_text().splitlines()) < 7:
                time.sleep(0.01)
            os.kill(process.pid, number)
            _, err = process.communicate(timeout=30)
        assert (code, 1) == (process.returncode, len(err.splitlines()))
        assert err.startswith(f"userstream: {word}; 6 users are printed; resume with: ")
        more = resumed(err, tmp_path)

    assert 0 == more.code
    assert CSV == (file.read_text() + more.out).splitlines()


def test_a_break_in_a_batch(tmp_path: Path) -> None:
    """The resumed command replaces the token of the one before it."""
    script = [
        scan_script(USERS, AWAY, messages=1, per_message=2),
        scan_script(USERS, AWAY, messages=2, per_message=2),
        scan_script(USERS, per_message=2),
    ]
    options = ("--batch-size", "2", "--format", "ndjson", "--no-resume", "--columns", "user_id")
    with ScriptedServer(*script) as server:
        one = run_here("batch", *options, "--target", server.target, cwd=tmp_path)
        two = resumed(one.err, tmp_path)
        three = resumed(two.err, tmp_path)

    assert (1, 1, 0) == (one.code, two.code, three.code)
    assert 1 == two.err.count("--resume-token")
    assert 9 == len((one.out + two.out + three.out).splitlines())


def test_a_break_between_pages(tmp_path: Path) -> None:
    """The resumed command prints what is left of --page-limit, after an offset that counts once."""
    pages = [
        [pb.PaginateResponse(users=USERS[i : i + 2], page_number=i, next_page_token=f"t{i}")]
        for i in (1, 3, 5)
    ]
    options = ("--page-size", "2", "--offset", "1", "--page-limit", "3", "--no-resume")
    with ScriptedServer(pages[0], [AWAY], pages[1], pages[2]) as server:
        one = run_here("pages", *options, "--target", server.target, cwd=tmp_path)
        two = resumed(one.err, tmp_path)
        requests = [(call.request.page_token, call.request.offset) for call in server.calls]

    assert (1, 0) == (one.code, two.code), (one, two)
    assert one.err.startswith("userstream: The database is away; 1 page is printed; resume with: ")
    assert [("", 1), ("t1", 0), ("t1", 0), ("t3", 0)] == requests
    ids = [line.split("\t")[1] for line in (one.out + two.out).splitlines()[1:]]
    assert [u.user_id for u in USERS[1:7]] == ids


def test_a_break_in_average_age(tmp_path: Path) -> None:
    """What is counted is kept in the token."""
    step = pb.StreamAverageAgeResponse(user_count=3, age_sum=60, resume_token="after:3")
    end = pb.StreamAverageAgeResponse(user_count=4, age_sum=80, final=True)
    with ScriptedServer([step, AWAY], [end]) as server:
        one = run_here("average-age", "--no-resume", "--target", server.target, cwd=tmp_path)
        two = resumed(one.err, tmp_path)

    assert "; 3 users are counted; resume with: userstream average-age --no-resume" in one.err
    assert (0, "Average age of users: 20.00\n") == (two.code, two.out)
    assert "after:3" == server.calls[1].request.resume_token


@pytest.mark.parametrize("command", ["stream", "batch", "pages", "average-age"])
def test_before_the_first_user(command: str, tmp_path: Path) -> None:
    """Nothing is kept then, and nothing is said of it."""
    with ScriptedServer([AWAY]) as server:
        ran = run_here(command, "--no-resume", "--target", server.target, cwd=tmp_path)

    assert "userstream: The database is away\n" == ran.err


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    """A device that is always full: one line, with what to do."""
    with ScriptedServer(messages_of(USERS)) as server, Path("/dev/full").open("w") as full:
        process = started("stream", "--target", server.target, folder=tmp_path, stdout=full)
        _, err = process.communicate(timeout=30)

    assert (1, 1) == (process.returncode, len(err.splitlines()))
    assert err.startswith("userstream: cannot write to standard output: No space left on device")


@pytest.mark.slow
def test_ctrl_c_while_nobody_reads(tmp_path: Path) -> None:
    """A pipe that is full does not hold the command back."""
    many = made_users(20_000)
    with ScriptedServer(scan_script(many, per_message=500)) as server:
        process = started("stream", "--target", server.target, folder=tmp_path)
        time.sleep(3)
        os.kill(process.pid, signal.SIGINT)
        process.wait(20)
        _, err = process.communicate()

    assert (130, 1) == (process.returncode, len(err.splitlines()))
    assert " users are printed, and perhaps some of the next; resume with: " in err


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["stream"], "userstream stream --no-header --resume-token T"),
        (["stream", "--resume-token", "old"], "userstream stream --no-header --resume-token T"),
        (["stream", "--resume-token=old"], "userstream stream --no-header --resume-token T"),
        (
            ["--target", "a b", "stream"],
            "userstream --target 'a b' stream --no-header --resume-token T",
        ),
        (["stream", "--no-header"], "userstream stream --no-header --resume-token T"),
    ],
)
def test_the_command(words: list[str], command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is this run's own, quoted for a shell, with the new token in place of the old."""
    monkeypatch.setattr("sys.argv", ["userstream", *words])

    assert command == resume_command({"--resume-token": "T"}, heading=True)
