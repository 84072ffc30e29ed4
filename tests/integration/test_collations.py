"""Keys in any collation: everybody comes exactly once, in the order that the column has, by every call."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID
from zlib import crc32

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import Consistency, UserFilter, UserStreamClient
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.dialects import MYSQL
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_server.rows.sql import users_query
from userstream_server.rows.table import Table
from userstream_server.rpc import validation
from userstream_server.rpc.tokens import KeyRange, Position, encode_partition, encode_token
from userstream_testing.admin import execute, open_url
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.in_process import served

pytestmark = pytest.mark.slow

USERS = 40
EVERYONE = pb.UserFilter(age_over=-1)
BYTES, COLLATION = pb.KEY_ORDER_UNSPECIFIED, pb.KEY_ORDER_COLLATION
# Character set, collation, order. Each database has some of them.
COLLATIONS = [
    ("utf8mb4", "utf8mb4_0900_ai_ci", COLLATION),
    ("utf8mb4", "utf8mb4_general_ci", COLLATION),
    ("utf8mb4", "utf8mb4_da_0900_ai_ci", COLLATION),
    ("utf8mb4", "utf8mb4_danish_ci", COLLATION),
    ("utf8mb4", "utf8mb4_uca1400_danish_ai_ci", COLLATION),
    ("utf8mb4", "utf8mb4_0900_bin", BYTES),
    ("utf8mb4", "utf8mb4_bin", BYTES),
    ("utf8mb4", "utf8mb4_nopad_bin", BYTES),
    ("latin1", "latin1_swedish_ci", COLLATION),
    ("latin1", "latin1_danish_ci", COLLATION),
    ("latin1", "latin1_bin", BYTES),
    ("utf16", "utf16_general_ci", COLLATION),
    ("ascii", "ascii_bin", BYTES),
]
SQLITE_COLLATIONS = [("BINARY", BYTES), ("NOCASE", COLLATION), ("RTRIM", COLLATION)]


def mixed_case_ids() -> list[str]:
    """Return UUIDs of upper, lower and mixed case, many with "aa", which Danish puts last, and some other ids."""
    chance = random.Random(11)
    numbers = (
        chance.getrandbits(120) | chance.choice([0xAA, 0xAB, 0xFF]) << 120 for _ in range(USERS)
    )
    cases = (str.lower, str.upper, lambda c: chance.choice([c.lower(), c.upper()]))
    cased = ["".join(map(chance.choice(cases), str(UUID(int=number)))) for number in numbers]
    return [*cased[:-4], "user 1", "user-1", "USER_1", "user.1"]


def fill(url: str, type_: str) -> list[str]:
    """Create the table with a type of user_id; return the ids in its order."""
    insert = ", ".join(
        f"('{user_id}', 'n', 'e@x.y', {n})" for n, user_id in enumerate(mixed_case_ids())
    )
    execute(
        url,
        f"CREATE TABLE user_data (user_id {type_} NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,"
        " email VARCHAR(255) NOT NULL, age DECIMAL(10,0) NOT NULL)",
        f"INSERT INTO user_data VALUES {insert}",
    )
    ordered: list[str] = [
        row[0] for row in execute(url, "SELECT user_id FROM user_data ORDER BY user_id")
    ]
    return ordered


def mysql_table(mysql_url: str, url: str, character_set: str, collation: str) -> list[str]:
    """Fill a table whose user_id has the collation, where the database has that."""
    known = execute(
        mysql_url,
        f"SELECT 1 FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE"
        f" '{collation}' IN (COLLATION_NAME, CONCAT('utf8mb4_', COLLATION_NAME))",
    )
    if not known:
        pytest.skip("this database has no such collation")
    execute(mysql_url, f"CREATE DATABASE {DatabaseUrl.parse(url).database}")
    return fill(url, f"VARCHAR(64) CHARACTER SET {character_set} COLLATE {collation}")


def ids(messages: list[Any]) -> list[str]:
    return [user.user_id for message in messages for user in message.users]


def check_streams(stub: Any, expected: list[str], order: int) -> None:
    """Check StreamUsers: order, key_order in each message, CRC-32; and a resume at every position, also in SNAPSHOT."""
    for consistency in (pb.CONSISTENCY_LIVE, pb.CONSISTENCY_SNAPSHOT):
        request = pb.StreamUsersRequest(max_users_per_message=1, consistency=consistency)
        messages = list(stub.StreamUsers(request))

        assert expected == ids(messages)
        assert {order} == {m.key_order for m in messages} | {messages[-1].receipt.key_order}
        assert crc32("".join(expected).encode()) == messages[-1].receipt.user_id_crc32
        for at, message in enumerate(
            messages[:: 1 if consistency == pb.CONSISTENCY_LIVE else 9], 1
        ):
            request.resume_token = message.resume_token
            rest = list(stub.StreamUsers(request))

            assert expected[expected.index(message.users[0].user_id) + 1 :] == ids(rest), at
            assert messages[-1].receipt.user_id_crc32 == rest[-1].receipt.user_id_crc32


def check_batches_and_pages(stub: Any, expected: list[str], order: int) -> None:
    """Check BatchUsers, resumed behind every batch, and Paginate, page by page."""
    request = pb.BatchUsersRequest(batch_size=3, filter=EVERYONE)
    batches = list(stub.BatchUsers(request))
    for number, batch in enumerate(batches, 1):
        request.resume_token = batch.resume_token

        assert expected[3 * number :] == ids(list(stub.BatchUsers(request)))
        assert order == batch.key_order
    pages: list[Any] = []
    page_request = pb.PaginateRequest(page_size=3, page_limit=1)
    while not pages or page_request.page_token:
        pages += list(stub.Paginate(page_request))
        page_request.page_token = pages[-1].next_page_token

    assert expected == ids(batches) == ids(pages)
    assert {order} == {page.key_order for page in pages}


def check_partitions(stub: Any, expected: list[str]) -> None:
    """Check that partitions are the whole, each also resumed in its middle."""
    for count in (1, 2, 7, USERS):
        found = []
        parts = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=count)).partitions
        for part in parts:
            request = pb.StreamUsersRequest(max_users_per_message=2, partition=part.partition)
            first = next(iter(stub.StreamUsers(request)))
            request.resume_token = first.resume_token
            found += ids([first, *stub.StreamUsers(request)])

        assert expected == found
        assert count == len(parts)


def check_client(target: str, expected: list[str]) -> None:
    """Check that our own client takes each kind of stream for what it is."""
    with UserStreamClient(target) as client:
        for consistency in Consistency:
            stream = client.stream_users(max_users_per_message=3, consistency=consistency)

            assert expected == [user.user_id for user in stream]
            assert stream.receipt is not None
        batches = list(client.batch_users(7, UserFilter(age_over=-1)))
        pages = list(client.lazy_paginate(7))
        parts = [client.stream_users(partition=p.partition) for p in client.partitions(5)]

        assert expected == [user.user_id for batch in batches for user in batch]
        assert expected == [user.user_id for page in pages for user in page.users]
        assert expected == [user.user_id for part in parts for user in part]


def check_all(url: str, expected: list[str], order: int, **settings: Any) -> None:
    """Check every call that hands out users."""
    with served(url, **settings) as target, stub_for(target) as stub:
        check_streams(stub, expected, order)
        check_batches_and_pages(stub, expected, order)
        check_partitions(stub, expected)
        check_client(target, expected)
        *_, ages = stub.StreamAverageAge(pb.StreamAverageAgeRequest())

        assert (USERS, sum(range(USERS))) == (ages.user_count, ages.age_sum)


@pytest.mark.parametrize("native_rows", [True, False], ids=["c", "python"])
@pytest.mark.parametrize(("character_set", "collation", "order"), COLLATIONS)
def test_mysql(
    mysql_url: str,
    mysql_database: str,
    character_set: str,
    collation: str,
    order: int,
    native_rows: bool,  # noqa: FBT001
) -> None:
    """Whatever the collation, everybody comes once, also when the scan breaks at any position."""
    expected = mysql_table(mysql_url, mysql_database, character_set, collation)

    assert order == COLLATION or sorted(expected) == expected
    check_all(mysql_database, expected, order, native_rows=native_rows)


@pytest.mark.parametrize(("collation", "order"), SQLITE_COLLATIONS)
def test_sqlite(tmp_path: Path, collation: str, order: int) -> None:
    """The same for SQLite's."""
    url = f"sqlite:///{tmp_path}/users.db"
    expected = fill(url, f"TEXT COLLATE {collation}")

    check_all(url, expected, order)


def test_an_index_of_another_collation(tmp_path: Path) -> None:
    """In SQLite the index decides: "a" and "A" are two keys where it is BINARY, whatever the column's own collation."""
    url = f"sqlite:///{tmp_path}/users.db"
    execute(
        url,
        "CREATE TABLE user_data (user_id TEXT COLLATE NOCASE NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL,"
        " age INTEGER NOT NULL)",
        "CREATE UNIQUE INDEX by_bytes ON user_data (user_id COLLATE BINARY)",
        "INSERT INTO user_data VALUES " + ", ".join(f"('{c}', 'n', 'e', 1)" for c in "aAbBcC"),
    )
    with closing(open_url(url)) as database, database.session() as session:
        users = Users(session, ChunkSizes(first_rows=1, max_rows=1))

        assert list("ABCabc") == [user.user_id for user in users.stream_users()]


@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_bin"])
def test_queries_use_the_key(mysql_url: str, mysql_database: str, collation: str) -> None:
    """In any collation a chunk is a range of the primary key, without a sort; so is one behind a partition's bound."""
    expected = mysql_table(mysql_url, mysql_database, "utf8mb4", collation)
    query = users_query(
        MYSQL.of(Table(collation)), Scan(after=expected[20], up_to=expected[30]), limit=5
    )
    literal = query.text.replace("%s", "'{}'").format(*query.parameters)
    plan = str(execute(mysql_database, f"EXPLAIN {literal}")[0])

    assert "range" in plan or "Index range scan" in plan
    assert "filesort" not in plan


FORGED: list[Callable[[list[str]], tuple[str | None, str | None, str | None]]] = [
    lambda e: (e[20], None, e[10]),  # a partition whose bounds descend
    lambda e: (e[10], None, e[10]),  # one without room
    lambda e: (e[10], e[9], e[20]),  # a token before its partition
    lambda e: (e[10], e[10], e[20]),
    lambda e: (e[10], e[21], e[20]),  # a token behind it
    lambda e: (None, e[21], e[20]),
    lambda e: (e[10], e[9], None),
]


@pytest.fixture(params=["sqlite NOCASE", "sqlite BINARY", "utf8mb4_general_ci", "utf8mb4_bin"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield a table's URL and its ids."""
    if request.param.startswith("sqlite"):
        url = f"sqlite:///{tmp_path}/users.db"
        yield url, fill(url, f"TEXT COLLATE {request.param.split()[1]}")
        return
    mysql, url = (request.getfixturevalue(name) for name in ("mysql_url", "mysql_database"))
    yield url, mysql_table(mysql, url, "utf8mb4", request.param)


def test_forged_keys(table: tuple[str, list[str]]) -> None:
    """A partition whose bounds do not ascend, and a token outside its partition, are refused."""
    url, expected = table
    with closing(open_url(url)) as database, database.session() as session:
        order = session.table.order
    with served(url) as target, stub_for(target) as stub:
        for forge in FORGED:
            after, last, up_to = forge(expected)
            request = pb.StreamUsersRequest(
                partition=encode_partition(KeyRange(after, up_to, order))
            )
            if last:
                bound_to = validation.check_stream_users(request).bound_to
                position = Position(last, 1, order=order)
                request.resume_token = encode_token(bound_to, position)
            error = rich_error(stub.StreamUsers(request))

            assert error.code is grpc.StatusCode.INVALID_ARGUMENT
            assert ["resume_token" if last else "partition"] == error.fields
