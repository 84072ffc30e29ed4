"""Our client and its command over a real server, on each database."""

import asyncio
import csv
import json
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from userstream_client import (
    AsyncUserStreamClient,
    Consistency,
    InvalidRequestError,
    User,
    UserFilter,
    UserStreamClient,
)
from userstream_testing.command import run
from userstream_testing.server_process import ServerProcess


@pytest.fixture
def client(shared_server: ServerProcess) -> Iterator[UserStreamClient]:
    """Yield a client of the shared server."""
    with UserStreamClient(shared_server.target, timeout_seconds=60) as opened:
        yield opened


def test_stream_users(client: UserStreamClient, users: list[Any]) -> None:
    """Plain typed users in key order, and a receipt that was checked."""
    stream = client.stream_users()
    found = list(stream)

    assert users == found
    assert type(found[0]) is User
    assert stream.receipt is not None
    assert stream.receipt.user_count == len(users)


def test_filter_limit_and_snapshot(client: UserStreamClient, users: list[Any]) -> None:
    """Options reach the server."""
    wanted = [user for user in users if user.age > 60][:33]
    stream = client.stream_users(
        UserFilter(age_over=60), limit=33, consistency=Consistency.SNAPSHOT
    )

    assert wanted == list(stream)
    assert stream.receipt is not None
    assert stream.receipt.consistency is Consistency.SNAPSHOT


def test_batches(client: UserStreamClient, users: list[Any]) -> None:
    """By default those over 25, in exact batches."""
    batches = list(client.batch_users(100))

    assert [user for user in users if user.age > 25] == [
        user for batch in batches for user in batch
    ]
    assert {100} == {len(batch) for batch in batches[:-1]}


def test_pages_are_read_when_wanted(
    client: UserStreamClient, shared_server: ServerProcess, users: list[Any]
) -> None:
    """Each page is a call of its own, made when the loop asks for it."""
    before = len(shared_server.events("call"))
    pages = client.lazy_paginate(100)
    first, second = next(pages), next(pages)
    deadline = time.monotonic() + 10
    # A call is logged once it has ended, which may be just after its answer arrived.
    while len(made := shared_server.events("call")[before:]) < 2:
        assert time.monotonic() < deadline
    pages.close()

    assert users[:200] == [*first.users, *second.users]
    assert ["Paginate", "Paginate"] == [call["method"] for call in made]


def test_average_age(client: UserStreamClient, users: list[Any]) -> None:
    """Exact figures, also while running."""
    answer = client.average_age()
    *_, last = client.stream_average_age()

    assert (len(users), sum(user.age for user in users)) == (answer.user_count, answer.age_sum)
    assert (answer.user_count, answer.age_sum) == (last.user_count, last.age_sum)


def test_partitions(client: UserStreamClient, users: list[Any]) -> None:
    """Streams of all partitions, put together in order, are the table."""
    parts = [list(client.stream_users(partition=p.partition)) for p in client.partitions(5)]

    assert users == [user for part in parts for user in part]


def test_a_bad_request(client: UserStreamClient) -> None:
    """A typed exception names the field."""
    with pytest.raises(InvalidRequestError) as caught:
        list(client.stream_users(limit=-1))

    assert ["limit"] == [violation.field for violation in caught.value.field_violations]


def test_for_asyncio(shared_server: ServerProcess, users: list[Any]) -> None:
    """The asynchronous client gives the same."""

    async def read() -> tuple[list[Any], int, int]:
        async with AsyncUserStreamClient(shared_server.target) as client:
            found = [user async for user in client.stream_users()]
            average = await client.average_age()
            async with aclosing(client.lazy_paginate(10, page_limit=3)) as pages:
                sizes = [len(page.users) async for page in pages]
            return found, average.age_sum, sum(sizes)

    found, age_sum, paged = asyncio.run(read())

    assert users == found
    assert (sum(user.age for user in users), 30) == (age_sum, paged)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_export(shared_server: ServerProcess, users: list[Any], tmp_path: Path, form: str) -> None:
    """An export holds everyone in key order, however many partitions it was read in."""
    path = tmp_path / "out"
    options = ("--format", form, "--output", str(path), "--partitions", "3")
    done = run("export", *options, cwd=tmp_path, USERSTREAM_TARGET=shared_server.target)
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = (
            list(csv.DictReader(file)) if form == "csv" else [json.loads(line) for line in file]
        )

    assert done.code == 0
    assert [list(map(str, user)) for user in users] == [
        list(map(str, row.values())) for row in rows
    ]
    assert ["out"] == [found.name for found in tmp_path.iterdir()]


def columnar(path: Path, form: str) -> Any:
    """Return a Parquet or Arrow file as a table; skip where pyarrow, an extra, is missing."""
    pytest.importorskip("pyarrow", reason="NOT CHECKED: pyarrow is not installed")
    from pyarrow import ipc, parquet

    return parquet.read_table(path) if form == "parquet" else ipc.open_file(path).read_all()


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_columnar_export(
    shared_server: ServerProcess, users: list[Any], tmp_path: Path, form: str
) -> None:
    """A Parquet or Arrow file holds everyone in key order, in typed columns."""
    path = tmp_path / "out"
    options = ("--format", form, "--output", str(path), "--partitions", "3")
    done = run("export", *options, cwd=tmp_path, USERSTREAM_TARGET=shared_server.target)
    table = columnar(path, form)

    assert done.code == 0
    assert ["string", "string", "string", "int64"] == [str(kind) for kind in table.schema.types]
    assert ["user_id", "name", "email", "age"] == table.column_names
    assert users == [tuple(row.values()) for row in table.to_pylist()]
    assert ["out"] == [found.name for found in tmp_path.iterdir()]


def test_average_age_on_the_command_line(
    shared_server: ServerProcess, users: list[Any], tmp_path: Path
) -> None:
    """The line is as documented, rounded half up from the exact figures."""
    done = run("average-age", cwd=tmp_path, USERSTREAM_TARGET=shared_server.target)
    hundredths = (200 * sum(u.age for u in users) + len(users)) // (2 * len(users))

    assert done.out == f"Average age of users: {hundredths // 100}.{hundredths % 100:02d}\n"
    assert done.code == 0
