"""Keys in any collation: everybody comes exactly once, in the order that the column has, by every call."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
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
from userstream_testing.whole_reads import check_all

pytestmark = pytest.mark.slow

USERS = 40
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
    check_all(mysql_database, expected, order, ages=range(USERS), native_rows=native_rows)


@pytest.mark.parametrize(("collation", "order"), SQLITE_COLLATIONS)
def test_sqlite(tmp_path: Path, collation: str, order: int) -> None:
    """The same for SQLite's."""
    url = f"sqlite:///{tmp_path}/users.db"
    expected = fill(url, f"TEXT COLLATE {collation}")

    check_all(url, expected, order, ages=range(USERS))


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
