"""Rows that cannot be sent end a call with FAILED_PRECONDITION: they are neither left out nor guessed."""

import re
import secrets
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from mysql.connector.errors import DatabaseError
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.database import Database
from userstream_server.errors import PreconditionError
from userstream_server.rows.batches import EncodeUsers, ExactSize
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_server.rpc import average_age, partitions, validation
from userstream_server.rpc.progress import ScanProgress
from userstream_server.rpc.tokens import decode_partition
from userstream_testing.admin import execute, open_url
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.server_process import serving

ID = "0b0e0a36-5d6c-4a4f-8f0e-{:012d}"
CHUNKS = ChunkSizes(first_rows=7, max_rows=7)
READ_IN = {
    "c": {},
    "python": {"native_rows": False},
    "pure python": {"use_pure": True},
}
MYSQL_TABLE = (
    "CREATE TABLE user_data (user_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,"
    " name VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL, email VARCHAR(255) NOT NULL, age {} NOT NULL)"
)
SQLITE_TABLE = (
    "CREATE TABLE user_data"
    " (user_id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, age INTEGER NOT NULL)"
)

# (what is inserted, words of the error)
MYSQL_ROWS = [
    ("BIGINT", "('', 'n', 'e', 1)", "user_id is empty"),
    ("BIGINT", "('é', 'n', 'e', 1)", "printable ASCII$"),
    ("BIGINT", "('a\\tb', 'n', 'e', 1)", "printable ASCII$"),
    ("BIGINT UNSIGNED", "('x1', 'n', 'e', 18446744073709551615)", r"beyond 64 bits \(user_id x1\)"),
    ("DECIMAL(20)", "('x1', 'n', 'e', -9223372036854775809)", r"beyond 64 bits \(user_id x1\)"),
    ("BIGINT", "('a@b.c', _utf8mb4 x'EDA080', 'e', 1)", "name is not valid UTF-8$"),
]
SQLITE_ROWS = [
    ("('', 'n', 'e', 1)", "user_id is empty"),
    ("(NULL, 'n', 'e', 1)", "user_id is NULL"),
    ("(x'6162', 'n', 'e', 1)", "user_id is NULL, or not text"),
    ("('é', 'n', 'e', 1)", "printable ASCII$"),
    ("('a' || char(10), 'n', 'e', 1)", "printable ASCII$"),
    ("('x1', x'00ff', 'e', 1)", r"name is NULL, or not text \(user_id x1\)"),
    ("('x1', CAST(x'ff' AS TEXT), 'e', 1)", r"name is not valid UTF-8 \(user_id x1\)"),
    ("('x1', 'n', 'e', 'old')", r"age is NULL, or not a whole number \(user_id x1\)"),
    ("('x1', 'n', 'e', 1.5)", r"age is NULL, or not a whole number \(user_id x1\)"),
    ("('x1', 'n', 'e', 9223372036854775808)", r"age is NULL, or not a whole number \(user_id x1\)"),
]


def stream(users: Users) -> int:
    """Read everybody, encoded."""
    reader = EncodeUsers(ExactSize(3))
    return sum(batch.user_count for batch in users.stream_users(Scan(), reader))


def decode(users: Users) -> int:
    """Read everybody, decoded."""
    return sum(1 for _ in users.stream_users())


def pages(users: Users) -> int:
    """Read everybody in pages."""
    reader = EncodeUsers(ExactSize(4))
    return sum(page.user_count for page in users.lazy_paginate(4, Scan(), reader))


def in_partitions(users: Users) -> int:
    """Read everybody in three key ranges."""
    found = 0
    for part in partitions.split(users, Scan(), 3):
        keys = decode_partition("partition", part.partition)
        reader = EncodeUsers(ExactSize(3))
        scan = Scan(after=keys.after, up_to=keys.up_to)
        found += sum(batch.user_count for batch in users.stream_users(scan, reader))
    return found


def ages(users: Users) -> int:
    """Average over everybody."""
    return int(average_age.average(users, Scan(), histogram=True).user_count)


def running_ages(users: Users) -> int:
    """Average over everybody, range by range."""
    plan = validation.check_stream_average_age(pb.StreamAverageAgeRequest())
    *_, last = average_age.running_average(
        users, plan, ScanProgress(lambda: None, plan.scan, plan.position)
    )
    return int(last.user_count)


OF_USERS = (stream, decode, pages, in_partitions)


def outcome(database: Database, read: Callable[[Users], int]) -> int | str:
    """Return how many users came, or the error's text."""
    with database.session() as session:
        try:
            return read(Users(session, CHUNKS))
        except PreconditionError as error:
            return f"{error.reason}: {error.message}".removesuffix(". Correct or delete that row.")


def refuses(database: Database, words: str) -> None:
    """Check that each way to read refuses the unfit row; averages may count it where they do not see the fault."""
    for read in OF_USERS:
        assert re.search(f"TABLE_ROW: .*{words}", str(outcome(database, read))), read.__name__
    fault = words.partition(r" \(")[0].removesuffix("$")
    for count in (ages, running_ages):
        found = outcome(database, count)
        assert found == 31 or re.search(fault, str(found)), count.__name__


@pytest.fixture
def small_average_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make StreamAverageAge go through the table in many ranges."""
    monkeypatch.setattr(average_age, "_RANGE_USERS", 5)


@pytest.mark.usefixtures("small_average_ranges")
@pytest.mark.parametrize("read_in", READ_IN)
@pytest.mark.parametrize(("age", "row", "words"), MYSQL_ROWS)
def test_mysql(mysql_url: str, read_in: str, age: str, row: str, words: str) -> None:
    """Thirty rows that fit and one that does not."""
    name = f"userstream_test_{secrets.token_hex(6)}"
    url = f"{mysql_url}/{name}"
    execute(mysql_url, f"CREATE DATABASE {name}")
    values = ", ".join(f"('{ID.format(n)}', 'n', 'e', 30)" for n in range(30))
    execute(url, MYSQL_TABLE.format(age), f"INSERT INTO user_data VALUES {values}")
    try:
        execute(url, f"INSERT INTO user_data VALUES {row}")
    except DatabaseError:
        pytest.skip("this database lets no such text in")
    with closing(open_url(url, **READ_IN[read_in])) as database:
        refuses(database, words)
        execute(url, f"DELETE FROM user_data WHERE user_id NOT LIKE '{ID[:8]}%'")
        assert [30] * 6 == [outcome(database, r) for r in (*OF_USERS, ages, running_ages)]
    execute(mysql_url, f"DROP DATABASE {name}")


@pytest.mark.usefixtures("small_average_ranges")
@pytest.mark.parametrize(("row", "words"), SQLITE_ROWS)
def test_sqlite(tmp_path: Path, row: str, words: str) -> None:
    """The same for what SQLite lets into a table that is not STRICT."""
    url = f"sqlite:///{tmp_path}/users.db"
    values = ", ".join(f"('{ID.format(n)}', 'n', 'e', 30)" for n in range(30))
    execute(url, SQLITE_TABLE, f"INSERT INTO user_data VALUES {values}")
    execute(url, f"INSERT INTO user_data VALUES {row}")
    with closing(open_url(url)) as database:
        refuses(database, words)
        execute(url, "DELETE FROM user_data WHERE rowid = 31")
        assert [30] * 6 == [outcome(database, r) for r in (*OF_USERS, ages, running_ages)]


def test_what_a_caller_sees(tmp_path: Path) -> None:
    """FAILED_PRECONDITION with the reason TABLE_ROW, in every call that meets the row; the server goes on."""
    url = f"sqlite:///{tmp_path}/users.db"
    execute(url, SQLITE_TABLE, "INSERT INTO user_data VALUES ('x1', 'n', 'e', 'old')")
    requests: list[tuple[str, Any]] = [
        ("StreamUsers", pb.StreamUsersRequest()),
        ("BatchUsers", pb.BatchUsersRequest(filter=pb.UserFilter(name_prefix="n"))),
        ("Paginate", pb.PaginateRequest()),
        ("AverageAge", pb.AverageAgeRequest()),
        ("StreamAverageAge", pb.StreamAverageAgeRequest()),
    ]
    with serving(url, tmp_path) as server, stub_for(server.target) as stub:
        for rpc, request in requests:
            error = rich_error(partial(getattr(stub, rpc), request))

            assert error.code is grpc.StatusCode.FAILED_PRECONDITION, rpc
            assert error.info.reason == "TABLE_ROW"
        assert "defect" not in server.log
