"""`fields=` of both clients against a real server: tuples, lists, pages and Arrow, verified as ever."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from userstream_client import (
    AsyncUserStreamClient,
    InvalidRequestError,
    User,
    UserFilter,
    UserLookup,
    UserStreamClient,
)
from userstream_client import _decoding as decoding
from userstream_client._native_users import load_decoder
from userstream_server.rows.types import UserRow
from userstream_testing.command import Ran, run_here
from userstream_testing.server_process import ServerProcess

EVERYONE = UserFilter(age_over=-1)
FIELDS = ("name", "age")


@pytest.fixture(params=["compiled", "protobuf"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Decode with the compiled decoder, and without it."""
    kind: str = request.param
    if kind == "protobuf":
        monkeypatch.setattr("userstream_client.arrow.load_decoder", lambda: None)
        monkeypatch.setattr(decoding, "load_decoder", lambda: None)
    elif load_decoder() is None:
        pytest.skip("no compiler here, so there is no compiled decoder")
    return kind


def read_sync(target: str) -> list[Any]:
    with UserStreamClient(target) as client:
        stream = client.stream_users(fields=FIELDS)
        users = list(stream)
        batches = client.batch_users(100, EVERYONE, fields="age,name")
        listed = [user for batch in batches for user in batch]
        pages = client.lazy_paginate(100, fields=iter(FIELDS))
        paged = [user for page in pages for user in page.users]
        table = client.stream_users(fields=FIELDS).to_arrow()
        return [users, listed, paged, table, stream.receipt]


def read_async(target: str) -> list[Any]:
    async def read() -> list[Any]:
        async with AsyncUserStreamClient(target) as client:
            stream = client.stream_users(fields=FIELDS)
            users = [user async for user in stream]
            batches = client.batch_users(100, EVERYONE, fields="age,name")
            listed = [user async for batch in batches for user in batch]
            pages = client.lazy_paginate(100, fields=iter(FIELDS))
            paged = [user async for page in pages for user in page.users]
            table = await client.stream_users(fields=FIELDS).to_arrow()
            return [users, listed, paged, table, stream.receipt]

    return asyncio.run(read())


@pytest.mark.parametrize("read", [read_sync, read_async])
@pytest.mark.usefixtures("decoder")
def test_every_call(shared_server: ServerProcess, users: list[UserRow], read: Any) -> None:
    """Every way of reading brings these fields of everyone; the receipt is verified, as without them."""
    *lists, table, receipt = read(shared_server.target)

    assert [[User(u.user_id, u.name, "", u.age) for u in users]] * 3 == lists
    assert ["user_id", "name", "age"] == table.column_names
    assert [(u.user_id, u.name, u.age) for u in users] == [
        tuple(row.values()) for row in table.to_pylist()
    ]
    with UserStreamClient(shared_server.target) as client:
        whole = client.stream_users()
        _ = list(whole)
        assert whole.receipt == receipt


@pytest.mark.usefixtures("decoder")
def test_a_checkpoint_continues(shared_server: ServerProcess, users: list[UserRow]) -> None:
    """A stream of some fields resumes from its checkpoint, and only with the same fields."""
    with UserStreamClient(shared_server.target) as client:
        first = client.stream_users(fields=FIELDS, max_users_per_message=100).chunks()
        begun = next(first)
        rest = list(client.stream_users(fields="age,name", resume_token=first.checkpoint))
        with pytest.raises(InvalidRequestError) as caught:
            next(client.stream_users(resume_token=first.checkpoint))

    assert [u.user_id for u in users] == [u.user_id for u in begun + rest]
    assert "INVALID_TOKEN" == caught.value.reason


def test_lookups(shared_server: ServerProcess, users: list[UserRow], tmp_path: Path) -> None:
    """Users by id, by both clients and the command, in their order and with these fields."""
    ids = [users[7].user_id, "nobody", users[2].user_id]
    expected = [User(u.user_id, "", "", u.age) for u in (users[7], users[2])]

    async def asynchronous() -> UserLookup:
        async with AsyncUserStreamClient(shared_server.target) as client:
            return await client.batch_get_users(ids, fields="age")

    with UserStreamClient(shared_server.target) as client:
        found = client.batch_get_users(ids, fields="age")
    options = ("--fields", "age", "--format", "csv", "--target", shared_server.target)
    ran = run_here("get", *ids, *options, cwd=tmp_path)

    assert [UserLookup(expected, ["nobody"])] * 2 == [found, asyncio.run(asynchronous())]
    assert (1, "userstream: 1 of 3 ids have no user: nobody\n") == (ran.code, ran.err)
    assert [f"{u.user_id},{u.age}" for u in expected] == ran.out.splitlines()[1:]


def test_a_field_that_does_not_exist(shared_server: ServerProcess) -> None:
    """The server's refusal, with the field's name."""
    with UserStreamClient(shared_server.target) as client, pytest.raises(InvalidRequestError) as c:
        next(client.stream_users(fields=["phone"]))

    assert ["read_mask"] == [violation.field for violation in c.value.field_violations]


@pytest.mark.parametrize("name", ["u.csv", "u.ndjson", "u.csv.gz", "u.parquet", "u.arrow"])
def test_exports(shared_server: ServerProcess, tmp_path: Path, name: str) -> None:
    """A real export of ids and ages in partitions is equal to the table, and to its manifest."""
    at = ("--target", shared_server.target)
    options = ("--fields", "age", "--partitions", "3", "--manifest")
    assert Ran(0, "", "") == run_here("export", "--output", name, *options, *at, cwd=tmp_path)
    table = run_here("verify", name, "--against", "table", *at, cwd=tmp_path)
    manifest = run_here("verify", name, *at, cwd=tmp_path)
    found = json.loads((tmp_path / f"{name}.manifest.json").read_text("utf-8"))

    assert (0, 0, ["user_id", "age"]) == (table.code, manifest.code, found["fields"])
    assert "is equal to the table (fields user_id age): 1,234 users" in table.out
