"""Users by id in both clients and the command line: what was asked for, in order, or an error."""

import asyncio
import io
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import (
    AsyncUserStreamClient,
    DataIntegrityError,
    User,
    UserLookup,
    UserStreamClient,
)
from userstream_testing.client_runs import QUICK
from userstream_testing.command import Ran, run_here
from userstream_testing.scripted_server import Fail, ScriptedServer, made_users

AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "away", reason="DATABASE_AWAY")
USERS = made_users(5)
IDS = [user.user_id for user in USERS]
TUPLES = [User(user.user_id, user.name, user.email, user.age) for user in USERS]


def answer(*users: pb.User, missing: tuple[str, ...] = ()) -> pb.BatchGetUsersResponse:
    return pb.BatchGetUsersResponse(users=users, missing_user_ids=missing)


def sync(target: str, ids: list[str]) -> UserLookup:
    with UserStreamClient(target, resume=QUICK) as client:
        return client.batch_get_users(ids, fields="age")


def asynchronous(target: str, ids: list[str]) -> UserLookup:
    async def read() -> UserLookup:
        async with AsyncUserStreamClient(target, resume=QUICK) as client:
            return await client.batch_get_users(ids, fields="age")

    return asyncio.run(read())


@pytest.mark.parametrize("read", [sync, asynchronous])
def test_found_and_missing(read: Any) -> None:
    """Users and missing ids in the order of the ids; a server that is away is asked again."""
    ids = [IDS[3], "x", IDS[0], IDS[3], "y"]
    answered = answer(USERS[3], USERS[0], USERS[3], missing=("x", "y"))
    with ScriptedServer([AWAY], [answered]) as server:
        found = read(server.target, ids)

    assert UserLookup([TUPLES[3], TUPLES[0], TUPLES[3]], ["x", "y"]) == found
    assert ids == list(server.calls[1].request.user_ids)
    assert ["age"] == list(server.calls[1].request.read_mask.paths)


@pytest.mark.parametrize(
    "answered",
    [
        answer(USERS[0]),
        answer(USERS[1], USERS[0]),
        answer(USERS[0], USERS[1], USERS[2]),
        answer(USERS[0], USERS[2]),
        answer(USERS[0], missing=("x",)),
        answer(USERS[0], USERS[1], missing=("x",)),
        answer(USERS[0], USERS[1], missing=(IDS[1],)),
        answer(missing=(IDS[1], IDS[0])),
        answer(missing=(IDS[0], IDS[1], IDS[1])),
    ],
    ids=range(9),
)
def test_anything_else_is_an_error(answered: pb.BatchGetUsersResponse) -> None:
    """Users left out, added, exchanged or misplaced never pass for an answer."""
    with ScriptedServer([answered]) as server, pytest.raises(DataIntegrityError):
        sync(server.target, IDS[:2])


def command(folder: Path, *arguments: str, answers: list[Any], stdin: str = "") -> tuple[Ran, Any]:
    with (
        ScriptedServer(*[[each] for each in answers]) as server,
        mock.patch("sys.stdin", io.StringIO(stdin)),
    ):
        ran = run_here("get", *arguments, "--target", server.target, cwd=folder)
    return ran, server.calls


def test_command(tmp_path: Path) -> None:
    """Rows in the order of the ids, with the columns that were asked for."""
    user = USERS[1]
    ran, calls = command(
        tmp_path, IDS[1], "--fields", "age", "--format", "csv", answers=[answer(user)]
    )

    assert Ran(0, f"user_id,age\n{user.user_id},{user.age}\n", "") == ran
    assert ["user_id", "age"] == list(calls[0].request.read_mask.paths)


def test_command_names_missing_ids(tmp_path: Path) -> None:
    """What was found is printed; the exit code is 1 and one line names the rest, escaped."""
    ran, _ = command(
        tmp_path,
        IDS[0],
        "a\tb",
        "--format",
        "ndjson",
        answers=[answer(USERS[0], missing=("a\tb",))],
    )

    assert (1, "userstream: 1 of 2 ids have no user: a\\tb\n") == (ran.code, ran.err)
    assert f'{{"user_id":"{IDS[0]}"' in ran.out


def test_command_reads_stdin(tmp_path: Path) -> None:
    """Any number of ids, one a line, in calls of a thousand."""
    many = made_users(1001)
    ran, calls = command(
        tmp_path,
        "-",
        "--format",
        "csv",
        answers=[answer(*many[:1000]), answer(many[1000])],
        stdin="\n".join(user.user_id for user in many) + "\n\n",
    )

    assert (0, 1002) == (ran.code, len(ran.out.splitlines()))
    assert [1000, 1] == [len(call.request.user_ids) for call in calls]


def test_command_refuses_stdin_and_ids(tmp_path: Path) -> None:
    """Exit code 2 and what to do."""
    ran, _ = command(tmp_path, "-", "x", answers=[])

    assert (2, "userstream: - stands for the ids on stdin: leave the others out\n") == (
        ran.code,
        ran.err,
    )
