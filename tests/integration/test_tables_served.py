"""Tables as people have them are served: other types of the key, other names, nullable columns, and views."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.database import Database
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan
from userstream_server.rows.sql import users_query
from userstream_server.rpc import validation
from userstream_server.rpc.tokens import KeyRange, Position, encode_partition, encode_token
from userstream_testing.admin import execute, open_url
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.in_process import served
from userstream_testing.whole_reads import check_all, ids

IDS = [str(UUID(int=n * 0x0A3F_1234_5678_9ABC_DEF0_1234_5678_9AB, version=4)) for n in range(1, 31)]
BYTES, COLLATION = pb.KEY_ORDER_UNSPECIFIED, pb.KEY_ORDER_COLLATION
COLUMNS = "name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, age INT NOT NULL"
TEXT_KEY = "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY"
PEOPLE = f"CREATE TABLE people (id {TEXT_KEY}, full_name VARCHAR(99) NOT NULL, mail VARCHAR(99), years INT, team INT)"
VIEW = "CREATE VIEW user_data AS SELECT id AS user_id, full_name AS name, mail AS email, years AS age FROM people"


def rows(user_id: str = "'{}'") -> str:
    """Return 30 rows of values, given how an id is written."""
    return ", ".join(f"({user_id.format(i)}, 'n', 'e@x.y', {n})" for n, i in enumerate(IDS))


IN_BYTES = rows("UNHEX(REPLACE('{}', '-', ''))")
INTO_PEOPLE = f"INSERT INTO people (id, full_name, mail, years) VALUES {rows()}"
SERVED = {
    "nullable columns": [
        f"CREATE TABLE user_data (user_id {TEXT_KEY}, name VARCHAR(255), email VARCHAR(255), age INT)",
        f"INSERT INTO user_data VALUES {rows()}",
    ],
    "BINARY(16)": [
        f"CREATE TABLE user_data (user_id BINARY(16) NOT NULL PRIMARY KEY, {COLUMNS})",
        f"INSERT INTO user_data VALUES {IN_BYTES}",
    ],
    "upper case": [
        f"CREATE TABLE USER_DATA (USER_ID {TEXT_KEY}, {COLUMNS.upper()})",
        f"INSERT INTO USER_DATA VALUES {rows()}",
    ],
    "a view": [PEOPLE, INTO_PEOPLE, VIEW],
    "a view with a condition": [
        PEOPLE,
        INTO_PEOPLE,
        "INSERT INTO people VALUES ('00000000-0000-0000-0000-000000000000', 'n', 'e', 1, 7)",
        f"{VIEW} WHERE team IS NULL AND id > '0'",
    ],
    "a view of a view in upper case": [
        PEOPLE,
        INTO_PEOPLE,
        VIEW.replace("user_data", "persons"),
        "CREATE VIEW User_Data AS SELECT * FROM persons",
    ],
    "a view of BINARY(16)": [
        f"CREATE TABLE people (id BINARY(16) NOT NULL PRIMARY KEY, {COLUMNS})",
        f"INSERT INTO people VALUES {IN_BYTES}",
        "CREATE VIEW user_data AS SELECT id AS user_id, name, email, age FROM people",
    ],
}


@pytest.fixture
def url(mysql_url: str, mysql_database: str) -> str:
    """Return the URL of an empty database."""
    execute(mysql_url, f"CREATE DATABASE {DatabaseUrl.parse(mysql_database).database}")
    return mysql_database


def is_mariadb(url: str) -> bool:
    ((version,),) = execute(url, "SELECT VERSION()")
    return "MariaDB" in version


def make_mariadbs_uuids(url: str) -> list[str]:
    """Fill a table of MariaDB's type UUID; return its ids in its order."""
    if not is_mariadb(url):
        pytest.skip("MySQL has no such type")
    execute(
        url,
        f"CREATE TABLE user_data (user_id UUID NOT NULL PRIMARY KEY, {COLUMNS})",
        f"INSERT INTO user_data VALUES {rows()}",
        # Of several versions, because some of them are ordered by their last part first.
        "UPDATE user_data SET user_id = INSERT(user_id, 15, 1, '1') WHERE age % 3 = 1",
        "UPDATE user_data SET user_id = INSERT(user_id, 15, 1, '7') WHERE age % 3 = 2",
    )
    return [row[0] for row in execute(url, "SELECT user_id FROM user_data ORDER BY user_id")]


@pytest.mark.slow
@pytest.mark.parametrize("native_rows", [True, False], ids=["c", "python"])
@pytest.mark.parametrize("kind", SERVED)
def test_served(url: str, kind: str, native_rows: bool) -> None:  # noqa: FBT001
    """Every call hands out every row once, in byte order, with ids as lower-case UUID text."""
    execute(url, *SERVED[kind])

    check_all(url, IDS, BYTES, ages=range(30), native_rows=native_rows)


@pytest.mark.slow
@pytest.mark.parametrize("native_rows", [True, False], ids=["c", "python"])
def test_mariadbs_uuid(url: str, native_rows: bool) -> None:  # noqa: FBT001
    """MariaDB's UUID comes as text, in the order of that type, which is not that of the text."""
    ordered = make_mariadbs_uuids(url)

    assert ordered != sorted(ordered)
    check_all(url, ordered, COLLATION, ages=range(30), native_rows=native_rows)


@pytest.mark.parametrize("kind", SERVED)
def test_filters(url: str, kind: str) -> None:
    """They mean the same in each, also behind a token."""
    execute(url, *SERVED[kind])
    wanted = pb.UserFilter(age_over=9, age_up_to=25, name_prefix="n", email_domain="x.y")
    request = pb.StreamUsersRequest(filter=wanted, max_users_per_message=4)
    with served(url) as target, stub_for(target) as stub:
        first, *_ = messages = list(stub.StreamUsers(request))
        request.resume_token = first.resume_token
        rest = list(stub.StreamUsers(request))
        average = stub.AverageAge(pb.AverageAgeRequest(filter=wanted))

    assert IDS[10:26] == ids(messages) == ids([first, *rest])
    assert (16, sum(range(10, 26))) == (average.user_count, average.age_sum)


@pytest.fixture(params=["BINARY(16)", "UUID"])
def uuids(url: str, request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    """Return the URL of a table whose ids are no text, and the ids."""
    if request.param == "UUID":
        return url, make_mariadbs_uuids(url)
    execute(url, *SERVED["BINARY(16)"])
    return url, IDS


def check_by_id(url: str, found: list[str], **settings: object) -> None:
    """Look users up in another order than the table's, and stream ids and ages alone."""
    wanted = [found[7], "no UUID", found[3].upper() + "x", found[29], "f" * 36, found[7]]
    mask = FieldMask(paths=["age"])
    with served(url, **settings) as target, stub_for(target) as stub:
        answer = stub.BatchGetUsers(pb.BatchGetUsersRequest(user_ids=wanted))
        whole = list(stub.StreamUsers(pb.StreamUsersRequest()))
        some = list(stub.StreamUsers(pb.StreamUsersRequest(read_mask=mask)))
    by_id = {user.user_id: user for message in whole for user in message.users}

    assert [by_id[found[7]], by_id[found[29]], by_id[found[7]]] == list(answer.users)
    assert [wanted[1], wanted[2], wanted[4]] == list(answer.missing_user_ids)
    assert [pb.User(user_id=u, age=by_id[u].age) for u in found] == [
        user for message in some for user in message.users
    ]


@pytest.mark.slow
@pytest.mark.parametrize("native_rows", [True, False], ids=["c", "python"])
@pytest.mark.parametrize("kind", SERVED)
def test_by_id_and_by_field(url: str, kind: str, native_rows: bool) -> None:  # noqa: FBT001
    """BatchGetUsers and read_mask mean the same in each."""
    execute(url, *SERVED[kind])

    check_by_id(url, IDS, native_rows=native_rows)


@pytest.mark.slow
@pytest.mark.parametrize("native_rows", [True, False], ids=["c", "python"])
def test_mariadbs_uuid_by_id_and_by_field(url: str, native_rows: bool) -> None:  # noqa: FBT001
    """Ids that are no UUID are missing, and not an error of the database."""
    check_by_id(url, make_mariadbs_uuids(url), native_rows=native_rows)


def test_a_null_that_is_not_read(url: str) -> None:
    """A row with NULL is sent where the column is not asked for."""
    execute(url, *SERVED["nullable columns"], "UPDATE user_data SET email = NULL")
    mask = FieldMask(paths=["name", "age"])
    with served(url) as target, stub_for(target) as stub:
        messages = list(stub.StreamUsers(pb.StreamUsersRequest(read_mask=mask)))
        error = rich_error(stub.StreamUsers(pb.StreamUsersRequest()))

    assert IDS == ids(messages)
    assert error.info.reason == "TABLE_ROW"


def test_forged_keys(uuids: tuple[str, list[str]]) -> None:
    """A token or partition whose key is no UUID is refused."""
    url, found = uuids
    with closing(open_url(url)) as database, database.session() as session:
        order = session.table.order
    with served(url) as target, stub_for(target) as stub:
        for key in ("zz", "0", "'", found[3].upper(), "0" * 200):
            for partition in ("", encode_partition(KeyRange(found[0], key, order))):
                request = pb.StreamUsersRequest(partition=partition)
                bound_to = validation.check_stream_users(request).bound_to
                request.resume_token = encode_token(bound_to, Position(key, 1, order=order))
                error = rich_error(stub.StreamUsers(request))

                assert error.code is grpc.StatusCode.INVALID_ARGUMENT
                assert error.fields == ["partition" if partition else "resume_token"]


@pytest.fixture(params=[True, False], ids=["c", "python"])
def database(url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Yield it, read in C and in Python."""
    with closing(open_url(url, native_rows=request.param)) as opened:
        yield opened


@pytest.mark.parametrize("column", ["name", "email", "age"])
def test_a_null_is_refused_when_met(database: Database, url: str, column: str) -> None:
    """A nullable column is served until a row has NULL there."""
    execute(url, *SERVED["nullable columns"], f"UPDATE user_data SET {column} = NULL LIMIT 1")
    with database.session() as session, pytest.raises(PreconditionError) as caught:
        list(Users(session).stream_users())

    assert caught.value.reason == "TABLE_ROW"
    assert f"{column} is NULL" in caught.value.message


def plan_of_a_chunk(url: str, after: str) -> list[str]:
    """Return how the database reads a chunk in the middle of the table."""
    with closing(open_url(url)) as database, database.session() as session:
        query = users_query(session.dialect, Scan(after=after), limit=5)
    literal = query.text.replace("%s", "'{}'").format(*query.parameters)
    explain = "EXPLAIN" if is_mariadb(url) else "EXPLAIN FORMAT=TRADITIONAL"
    return [str(word) for word in execute(url, f"{explain} {literal}")[0]]


@pytest.mark.parametrize("kind", SERVED)
def test_chunks_use_the_key(url: str, kind: str) -> None:
    """A chunk is a range of the key in each of them."""
    execute(url, *SERVED[kind])
    plan = plan_of_a_chunk(url, IDS[10])

    assert {"range", "PRIMARY"} <= set(plan)
    assert "filesort" not in str(plan)


def test_chunks_of_mariadbs_uuids_use_the_key(url: str) -> None:
    """So it is for UUID."""
    plan = plan_of_a_chunk(url, make_mariadbs_uuids(url)[10])

    assert {"range", "PRIMARY"} <= set(plan)
    assert "filesort" not in str(plan)


def test_sqlite(tmp_path: Path) -> None:
    """A unique index over user_id alone is as good as a primary key; columns may be nullable, names in upper case."""
    url = f"sqlite:///{tmp_path}/users.db"
    execute(
        url,
        "CREATE TABLE USER_DATA (number INTEGER PRIMARY KEY, USER_ID TEXT UNIQUE, name TEXT, email TEXT, age INTEGER)",
        f"INSERT INTO user_data (user_id, name, email, age) VALUES {rows()}",
    )

    check_all(url, IDS, BYTES, ages=range(30))
