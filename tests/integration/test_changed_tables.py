"""The table is altered, swapped or emptied under a scan: it ends OK only when no row that stayed is missing."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.database import Database
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import ConflictError, PreconditionError, UserStreamError
from userstream_server.rows.batches import EncodeUsers, ExactSize
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_testing.admin import execute, open_url
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.in_process import served

CHUNKS = ChunkSizes(first_rows=7, max_rows=7)
TABLE = (
    "CREATE TABLE {} (user_id VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL PRIMARY KEY,"
    " name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, age DECIMAL(10,0) NOT NULL)"
)
# Of both cases, so that a collation without regard to case orders them otherwise.
IDS = sorted(f"{letter}{2 * n + letter.islower()}" for letter in "abcdABCD" for n in range(5))
COPY = [
    TABLE.format("other"),
    "INSERT INTO other SELECT * FROM user_data",
    "INSERT INTO other VALUES ('zz', 'n', 'e', 1)",
]
MODIFY = "ALTER TABLE user_data MODIFY user_id VARCHAR(64) CHARACTER SET {} COLLATE {} NOT NULL"


@pytest.fixture
def url(mysql_url: str, mysql_database: str) -> str:
    """Return the URL of a table with 40 users."""
    execute(mysql_url, f"CREATE DATABASE {DatabaseUrl.parse(mysql_database).database}")
    values = ", ".join(f"('{user_id}', 'n', 'e', 30)" for user_id in IDS)
    execute(mysql_database, TABLE.format("user_data"), f"INSERT INTO user_data VALUES {values}")
    return mysql_database


@pytest.fixture(params=[True, False], ids=["c", "python"])
def database(url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Yield it, read in C and in Python."""
    opened = open_url(url, native_rows=request.param)
    yield opened
    opened.close()


def read(database: Database, url: str, *statements: str) -> list[str]:
    """Read everybody in chunks of seven; run statements behind the second chunk. Return the ids."""
    found: list[str] = []
    with database.session() as session:
        reader = EncodeUsers(ExactSize(7))
        for batch in Users(session, CHUNKS).stream_users(Scan(), reader):
            users = pb.StreamUsersResponse.FromString(batch.users).users
            found += [user.user_id for user in users]
            if len(found) == 14:
                execute(url, *statements)
    return found


@pytest.mark.parametrize(
    "statements",
    [
        [*COPY, "RENAME TABLE user_data TO old, other TO user_data"],  # as gh-ost does
        [*COPY, "DROP TABLE user_data", "RENAME TABLE other TO user_data"],
        ["ALTER TABLE user_data ENGINE = InnoDB"],
        ["OPTIMIZE TABLE user_data"],
        ["ALTER TABLE user_data ADD COLUMN more INT FIRST"],
        ["ALTER TABLE user_data MODIFY name VARCHAR(300) CHARACTER SET utf16 NOT NULL"],
        ["ALTER TABLE user_data DROP PRIMARY KEY, ADD UNIQUE KEY (user_id)"],
    ],
    ids=str,
)
def test_everybody_comes(database: Database, url: str, statements: list[str]) -> None:
    """Changes that leave the key alone are not noticed."""
    found = read(database, url, *statements)

    assert IDS == [user_id for user_id in found if user_id != "zz"]


@pytest.mark.parametrize(
    ("statement", "error", "reason"),
    [
        (MODIFY.format("latin1", "latin1_swedish_ci"), ConflictError, "TABLE_CHANGED"),
        (MODIFY.format("latin1", "latin1_danish_ci"), ConflictError, "TABLE_CHANGED"),
        (MODIFY.format("utf8mb4", "utf8mb4_bin"), ConflictError, "TABLE_CHANGED"),
        ("ALTER TABLE user_data DROP PRIMARY KEY", PreconditionError, "TABLE_SHAPE"),
        (
            "ALTER TABLE user_data DROP PRIMARY KEY, ADD PRIMARY KEY (user_id, age)",
            PreconditionError,
            "TABLE_SHAPE",
        ),
        ("ALTER TABLE user_data DROP COLUMN email", PreconditionError, "TABLE_SHAPE"),
        ("DROP TABLE user_data", PreconditionError, "TABLE_MISSING"),
        ("ALTER TABLE user_data MODIFY age DECIMAL(12,2) NOT NULL", PreconditionError, "TABLE_ROW"),
    ],
)
def test_the_scan_is_refused(
    database: Database, url: str, statement: str, error: type[UserStreamError], reason: str
) -> None:
    """Other changes of the key or the columns end the scan with an error, which says why."""
    with pytest.raises(error) as caught:
        read(database, url, statement)

    assert reason == caught.value.reason


def test_after_a_change_the_next_scan_fits(database: Database, url: str) -> None:
    """The scan that noticed is the only one to fail."""
    with pytest.raises(ConflictError):
        read(database, url, MODIFY.format("latin1", "latin1_swedish_ci"))
    ordered = [row[0] for row in execute(url, "SELECT user_id FROM user_data ORDER BY user_id")]

    assert ordered != IDS
    assert ordered == read(database, url, "SELECT 1")


def test_an_emptied_table(database: Database, url: str) -> None:
    """LIVE promises the rows that live through the whole scan. After TRUNCATE there are none, so the scan ends."""
    assert IDS[:14] == read(database, url, "TRUNCATE TABLE user_data")


def test_another_data_set(database: Database, url: str) -> None:
    """Where other rows take the place of some, those that stayed come, and come once."""
    stayed = [user_id for n, user_id in enumerate(IDS) if n % 2]
    kept = ", ".join(f"'{user_id}'" for user_id in stayed)
    found = read(
        database,
        url,
        f"DELETE FROM user_data WHERE user_id NOT IN ({kept})",
        "INSERT INTO user_data VALUES ('A00', 'n', 'e', 1), ('z', 'n', 'e', 1), ('bb', 'n', 'e', 1)",
    )

    assert len(found) == len(set(found))
    assert set(stayed) <= set(found)


@pytest.mark.parametrize("statement", ["ALTER TABLE user_data FORCE", "TRUNCATE TABLE user_data"])
def test_a_snapshot_of_a_table_that_was_altered(
    database: Database, url: str, statement: str
) -> None:
    """Error 1412 is ABORTED with a reason: the caller tries again, with a new read view."""
    with database.session() as session:
        assert session.table.is_bytewise
    with database.session(snapshot=True) as session:
        execute(url, statement)
        with pytest.raises(ConflictError) as caught:
            list(Users(session, CHUNKS).stream_users())

    assert caught.value.reason == "TABLE_CHANGED"


def first_messages(stub: Any, users: int, **fields: Any) -> list[Any]:
    request = pb.StreamUsersRequest(max_users_per_message=1, **fields)
    call = stub.StreamUsers(request)
    found = [message for message, _ in zip(call, range(users), strict=False)]
    call.cancel()
    return found


@pytest.mark.parametrize(
    "statements",
    [
        [MODIFY.format("latin1", "latin1_swedish_ci")],
        [MODIFY.format("utf8mb4", "utf8mb4_general_ci")],
    ],
)
def test_a_token_of_another_order(url: str, statements: list[str]) -> None:
    """A stream, a page and a partition of before the change are refused after it; without a token all is well."""
    with served(url) as target, stub_for(target) as stub:
        token = first_messages(stub, 9)[-1].resume_token
        page = next(stub.Paginate(pb.PaginateRequest(page_size=5, page_limit=1)))
        parts = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=3)).partitions
        execute(url, *statements)
        for request in (
            pb.StreamUsersRequest(resume_token=token),
            pb.StreamUsersRequest(partition=parts[1].partition),
            pb.PaginateRequest(page_token=page.next_page_token),
        ):
            rpc = stub.Paginate if isinstance(request, pb.PaginateRequest) else stub.StreamUsers
            # The first of them finds out; it is ABORTED, which says to try again.
            error = rich_error(rpc(request))
            if error.info.reason == "TABLE_CHANGED":
                error = rich_error(rpc(request))

            assert error.code is grpc.StatusCode.FAILED_PRECONDITION
            assert error.info.reason == "KEY_ORDER_CHANGED"
        (whole,) = execute(url, "SELECT COUNT(*) FROM user_data")
        messages = list(stub.StreamUsers(pb.StreamUsersRequest()))

        assert whole[0] == messages[-1].receipt.user_count
        assert messages[-1].key_order == pb.KEY_ORDER_COLLATION


def test_a_token_survives_a_change_of_the_same_order(url: str) -> None:
    """From one binary collation to another, a stream goes on."""
    with served(url) as target, stub_for(target) as stub:
        first = first_messages(stub, 9)
        execute(url, MODIFY.format("utf8mb4", "utf8mb4_bin"))
        request = pb.StreamUsersRequest(resume_token=first[-1].resume_token)
        assert rich_error(stub.StreamUsers(request)).code is grpc.StatusCode.ABORTED
        rest = list(stub.StreamUsers(request))

        assert IDS == [user.user_id for message in [*first, *rest] for user in message.users]


def test_at_another_server(url: str, mysql_url: str) -> None:
    """A stream that goes on over other data misses no row that both have; over another order it is refused."""
    other = f"{url}_other"
    execute(mysql_url, f"CREATE DATABASE {DatabaseUrl.parse(other).database}")
    name = DatabaseUrl.parse(url).database
    try:
        execute(
            other,
            TABLE.format("user_data"),
            f"INSERT INTO user_data SELECT * FROM {name}.user_data WHERE user_id LIKE '%3'",
            "INSERT INTO user_data VALUES ('cc', 'n', 'e', 1)",
        )
        with served(url) as target, stub_for(target) as stub:
            first = first_messages(stub, 9)
        request = pb.StreamUsersRequest(resume_token=first[-1].resume_token)
        with served(other) as target, stub_for(target) as stub:
            rest = list(stub.StreamUsers(request))
        execute(other, MODIFY.format("latin1", "latin1_general_ci"))
        with served(other) as target, stub_for(target) as stub:
            refused = rich_error(stub.StreamUsers(request))
    finally:
        execute(mysql_url, f"DROP DATABASE {DatabaseUrl.parse(other).database}")
    found = [user.user_id for message in rest for user in message.users]

    assert [*(i for i in IDS[9:] if i.endswith("3")), "cc"] == sorted(
        found, key=lambda i: (i == "cc", i)
    )
    assert "KEY_ORDER_CHANGED" == refused.info.reason


def test_without_its_key(url: str) -> None:
    """Calls that begin after the key was dropped are refused once somebody has looked: rows may be doubled."""
    with served(url, health_poll_seconds=0.2) as target, stub_for(target) as stub:
        execute(url, "ALTER TABLE user_data DROP PRIMARY KEY")
        token = first_messages(stub, 9)[-1].resume_token
        error = rich_error(stub.StreamUsers(pb.StreamUsersRequest(resume_token=token)))

        assert error.code is grpc.StatusCode.FAILED_PRECONDITION
        assert error.info.reason == "TABLE_SHAPE"
        assert rich_error(stub.StreamUsers(pb.StreamUsersRequest())).info.reason == "TABLE_SHAPE"
