"""A table becomes another one under a scan: a view, one with other types of ids, or another table swapped in."""

from collections.abc import Iterator
from contextlib import closing

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.database import Database
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import ConflictError, PreconditionError
from userstream_server.rows.batches import EncodeUsers, ExactSize
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_testing.admin import execute, open_url
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.in_process import served
from userstream_testing.whole_reads import ids

CHUNKS = ChunkSizes(first_rows=7, max_rows=7)
IDS = [f"{n:08x}-1234-4abc-8def-0123456789ab" for n in range(0, 2**32, 2**32 // 39)]
COLUMNS = "name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, age INT NOT NULL"
TEXT, DANISH = "CHAR(36) COLLATE utf8mb4_bin", "CHAR(36) COLLATE utf8mb4_danish_ci"
SOURCE = {
    TEXT: "user_id, name, email, age",
    DANISH: "user_id, name, email, age",
    "BINARY(16)": "UNHEX(REPLACE(user_id, '-', '')), name, email, age",
}


def table(name: str, key: str) -> list[str]:
    """Return the statements for a table of the users in `kept`, with this type of ids."""
    return [
        f"CREATE TABLE {name} (user_id {key} NOT NULL PRIMARY KEY, {COLUMNS}) CHARACTER SET utf8mb4",
        f"INSERT INTO {name} SELECT {SOURCE[key]} FROM kept",
    ]


def swapped(key: str) -> list[str]:
    """Return the statements that swap in a copy with this type of ids, as gh-ost does."""
    return [*table("other", key), "RENAME TABLE user_data TO old, other TO user_data"]


VIEW = "CREATE VIEW user_data AS SELECT id AS user_id, name, email, age FROM people"
VIEWED = [
    *table("people", TEXT),
    "ALTER TABLE people RENAME COLUMN user_id TO id",
    VIEW,
]
MODIFY = (
    "ALTER TABLE people MODIFY id CHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_danish_ci NOT NULL"
)


@pytest.fixture
def url(mysql_url: str, mysql_database: str) -> str:
    """Return the URL of a database with 40 users in `kept`."""
    execute(mysql_url, f"CREATE DATABASE {DatabaseUrl.parse(mysql_database).database}")
    values = ", ".join(f"('{user_id}', 'n', 'e', {n})" for n, user_id in enumerate(IDS))
    execute(
        mysql_database,
        f"CREATE TABLE kept (user_id {TEXT} PRIMARY KEY, {COLUMNS})",
        f"INSERT INTO kept VALUES {values}",
    )
    return mysql_database


@pytest.fixture(params=[True, False], ids=["c", "python"])
def database(url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Yield it, read in C and in Python."""
    with closing(open_url(url, native_rows=request.param)) as opened:
        yield opened


def read(database: Database, url: str, *statements: str, behind: int = 14) -> list[str]:
    """Read everybody in chunks of seven; run statements behind some users. Return the ids."""
    found: list[str] = []
    with database.session() as session:
        for batch in Users(session, CHUNKS).stream_users(Scan(), EncodeUsers(ExactSize(7))):
            found += [user.user_id for user in pb.StreamUsersResponse.FromString(batch.users).users]
            if len(found) == behind:
                execute(url, *statements)
    return found


REFUSED = {
    "swapped for another collation": (table("user_data", TEXT), swapped(DANISH), ConflictError),
    "swapped for other ids": (table("user_data", TEXT), swapped("BINARY(16)"), ConflictError),
    "swapped for text": (table("user_data", "BINARY(16)"), swapped(TEXT), ConflictError),
    "a view in its place": (
        table("user_data", TEXT),
        ["RENAME TABLE user_data TO people", VIEW.replace("id AS user_id", "user_id")],
        ConflictError,
    ),
    "the key below": (VIEWED, ["ALTER TABLE people DROP PRIMARY KEY"], PreconditionError),
    "a longer key below": (
        VIEWED,
        ["ALTER TABLE people DROP PRIMARY KEY, ADD PRIMARY KEY (id, age)"],
        PreconditionError,
    ),
    "the collation below": (VIEWED, [MODIFY], ConflictError),
    "the view dropped": (VIEWED, ["DROP VIEW user_data"], PreconditionError),
    "the table below dropped": (VIEWED, ["DROP TABLE people"], PreconditionError),
    "a column below dropped": (VIEWED, ["ALTER TABLE people DROP COLUMN email"], PreconditionError),
    "the view replaced by a join": (
        VIEWED,
        [f"{VIEW.replace('CREATE', 'CREATE OR REPLACE')} JOIN (SELECT 1 UNION SELECT 2) AS twice"],
        PreconditionError,
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_the_scan_is_refused(database: Database, url: str, change: str) -> None:
    """It ends with an error, behind any chunk."""
    before, statements, error = REFUSED[change]
    execute(url, *before)
    with pytest.raises(error):
        read(database, url, *statements)


@pytest.mark.parametrize(
    ("before", "statements"),
    [
        (table("user_data", "BINARY(16)"), swapped("BINARY(16)")),
        (table("user_data", "BINARY(16)"), ["ALTER TABLE user_data ENGINE = InnoDB"]),
        (VIEWED, ["CREATE TABLE other LIKE people", "INSERT INTO other SELECT * FROM people",
                  "RENAME TABLE people TO old, other TO people"]),
        (VIEWED, ["ALTER TABLE people FORCE"]),
        (VIEWED, ["ALTER TABLE people DROP PRIMARY KEY, ADD UNIQUE KEY (id)"]),
        (VIEWED, [f"{VIEW.replace('CREATE', 'CREATE OR REPLACE')} WHERE age >= 0"]),
    ],
)  # fmt: skip
def test_everybody_comes(
    database: Database, url: str, before: list[str], statements: list[str]
) -> None:
    """Where the key stays the same, the scan goes on."""
    execute(url, *before)

    assert IDS == read(database, url, *statements)


@pytest.mark.parametrize(("old", "new"), [("BINARY(16)", TEXT), (TEXT, "BINARY(16)")])
@pytest.mark.parametrize("native_rows", [True, False], ids=["c", "python"])
def test_before_the_first_query(url: str, old: str, new: str, native_rows: bool) -> None:  # noqa: FBT001
    """The server still has the table in mind that it saw last. One call at most fails, and none is OK and wrong."""
    execute(url, *table("user_data", old))
    with (
        served(url, health_poll_seconds=600, native_rows=native_rows) as target,
        stub_for(target) as stub,
    ):
        assert IDS == ids(list(stub.StreamUsers(pb.StreamUsersRequest())))
        for request, call in (
            (pb.StreamUsersRequest(limit=3), stub.StreamUsers),
            (pb.StreamUsersRequest(), stub.StreamUsers),
            (pb.BatchUsersRequest(filter=pb.UserFilter(age_over=-1)), stub.BatchUsers),
            (pb.PaginateRequest(page_size=7), stub.Paginate),
            (pb.StreamAverageAgeRequest(), stub.StreamAverageAge),
        ):
            execute(url, *swapped(new))
            average = stub.AverageAge(pb.AverageAgeRequest())
            error = rich_error(call(request))
            again = list(call(request))

            assert (40, sum(range(40))) == (average.user_count, average.age_sum)
            assert error.info.reason in {"TABLE_CHANGED", "TABLE_ROW"}
            if call is stub.StreamAverageAge:
                assert again[-1].user_count == 40
            else:
                assert IDS[: getattr(request, "limit", 0) or None] == ids(again)
            execute(url, "RENAME TABLE user_data TO other, old TO user_data", "DROP TABLE other")
            rich_error(
                stub.StreamUsers(pb.StreamUsersRequest())
            )  # the way back is such a change too
            list(stub.StreamUsers(pb.StreamUsersRequest()))


@pytest.mark.parametrize(("old", "new"), [("BINARY(16)", TEXT), (TEXT, "BINARY(16)")])
@pytest.mark.parametrize("native_rows", [True, False], ids=["c", "python"])
def test_a_change_before_a_lookup(url: str, old: str, new: str, native_rows: bool) -> None:  # noqa: FBT001
    """Ids that are not found in a key of another type are not said to be missing: the call fails, the next one fits."""
    execute(url, *table("user_data", old))
    request = pb.BatchGetUsersRequest(user_ids=IDS[:3])
    with (
        served(url, health_poll_seconds=600, native_rows=native_rows) as target,
        stub_for(target) as stub,
    ):
        before = stub.BatchGetUsers(request)
        execute(url, *swapped(new))
        error = rich_error(lambda: [stub.BatchGetUsers(request)])
        after = stub.BatchGetUsers(request)

    assert "TABLE_CHANGED" == error.info.reason
    assert IDS[:3] == ids([before]) == ids([after])


@pytest.mark.parametrize(("old", "new"), [("BINARY(16)", TEXT), (TEXT, "BINARY(16)")])
def test_tokens_of_another_type(url: str, old: str, new: str) -> None:
    """Upper and lower case are two orders of text, and one of UUIDs: tokens do not go from one to the other."""
    execute(url, *table("user_data", old))
    request = pb.StreamUsersRequest(max_users_per_message=1, limit=9)
    with served(url) as target, stub_for(target) as stub:
        token = list(stub.StreamUsers(request))[4].resume_token
        parts = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=3)).partitions
    execute(url, *swapped(new))
    with served(url) as target, stub_for(target) as stub:
        for fields in ({"resume_token": token}, {"partition": parts[1].partition}):
            request = pb.StreamUsersRequest(max_users_per_message=1, limit=9, **fields)
            error = rich_error(stub.StreamUsers(request))

            assert error.code is grpc.StatusCode.FAILED_PRECONDITION
            assert error.info.reason == "KEY_ORDER_CHANGED"
