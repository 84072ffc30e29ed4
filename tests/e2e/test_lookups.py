"""BatchGetUsers over a real server: users by id, in the order asked for, and the ids that nobody has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from userstream.v1 import user_service_pb2 as pb
from userstream_server.rows.types import UserRow
from userstream_testing.admin import execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.server_process import ServerProcess, serving

NOBODY = "ffffffff-ffff-4fff-8fff-ffffffffffff"


@pytest.fixture
def stub(shared_server: ServerProcess) -> Iterator[Any]:
    """Yield a plain stub."""
    with stub_for(shared_server.target) as opened:
        yield opened


def got(stub: Any, *ids: str, paths: tuple[str, ...] = ()) -> tuple[list[UserRow], list[str]]:
    request = pb.BatchGetUsersRequest(user_ids=ids, read_mask=FieldMask(paths=paths))
    response = stub.BatchGetUsers(request, timeout=10)
    users = [UserRow(u.user_id, u.name, u.email, u.age) for u in response.users]
    return users, list(response.missing_user_ids)


def test_order(stub: Any, users: list[UserRow]) -> None:
    """Users come as their ids were given, an id that comes twice twice; missing ids are listed in order too."""
    wanted = [users[n] for n in (700, 3, 1233, 0, 3)]
    ids = [user.user_id for user in wanted]
    ids[2:2] = [NOBODY, "x"]

    assert (wanted, [NOBODY, "x"]) == got(stub, *ids)


@pytest.mark.parametrize("count", [1, 2, 999, 1000])
def test_up_to_a_thousand(stub: Any, users: list[UserRow], count: int) -> None:
    """Any number of ids up to the limit, in one call."""
    wanted = users[-count:][::-1]

    assert (wanted, []) == got(stub, *(user.user_id for user in wanted))


def test_nobody(stub: Any) -> None:
    """Ids without users are an answer, not an error."""
    assert ([], [NOBODY]) == got(stub, NOBODY)


def test_some_fields(stub: Any, users: list[UserRow]) -> None:
    """read_mask is that of the streams."""
    user = users[5]

    assert ([UserRow(user.user_id, "", "", user.age)], []) == got(
        stub, user.user_id, paths=("age",)
    )


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.BatchGetUsersRequest(), ["user_ids"]),
        (pb.BatchGetUsersRequest(user_ids=["x"] * 1001), ["user_ids"]),
        (pb.BatchGetUsersRequest(user_ids=["x", ""]), ["user_ids"]),
        (pb.BatchGetUsersRequest(user_ids=["é"]), ["user_ids"]),
        (pb.BatchGetUsersRequest(user_ids=["a\nb"]), ["user_ids"]),
        (pb.BatchGetUsersRequest(user_ids=["x"], read_mask=FieldMask(paths=["x"])), ["read_mask"]),
        (pb.BatchGetUsersRequest(read_mask=FieldMask(paths=["x"])), ["read_mask", "user_ids"]),
    ],
)
def test_bad_requests(stub: Any, request_: Any, fields: list[str]) -> None:
    """INVALID_ARGUMENT with each broken rule."""
    error = rich_error(lambda: [stub.BatchGetUsers(request_)])

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (fields, "INVALID_REQUEST") == (error.fields, error.info.reason)


@pytest.mark.parametrize("text", ["' OR '1'='1", "%", "\\", "--", "x') UNION SELECT 1,2,3,4 -- "])
def test_ids_are_values(stub: Any, text: str) -> None:
    """Whatever an id holds, it is compared and never run."""
    assert ([], [text]) == got(stub, text)


def test_the_setting_limits_it(shared_url: str, tmp_path: Path, users: list[UserRow]) -> None:
    """USERSTREAM_BATCH_USERS_MAX holds here as for batches."""
    ids = [user.user_id for user in users[:4]]
    with serving(shared_url, tmp_path, BATCH_USERS_MAX=3) as server, stub_for(server.target) as own:
        assert 3 == len(got(own, *ids[:3])[0])
        error = rich_error(lambda: [own.BatchGetUsers(pb.BatchGetUsersRequest(user_ids=ids))])

    assert error.message == "user_ids: takes 1 to 3 ids"


def test_ids_are_compared_byte_by_byte(mysql_database: str, tmp_path: Path) -> None:
    """In a collation that ignores case, another spelling is another id, as it is in every stream."""
    execute(
        mysql_database.rpartition("/")[0],
        f"CREATE DATABASE {mysql_database.rpartition('/')[2]}",
    )
    execute(
        mysql_database,
        "CREATE TABLE user_data (user_id CHAR(36) COLLATE utf8mb4_general_ci PRIMARY KEY,"
        " name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, age DECIMAL NOT NULL)"
        " CHARACTER SET utf8mb4",
        "INSERT INTO user_data VALUES ('AbC', 'Ada', 'a@example.com', 36)",
    )
    with serving(mysql_database, tmp_path) as server, stub_for(server.target) as own:
        assert ([UserRow("AbC", "Ada", "a@example.com", 36)], ["abc", "AbC "]) == got(
            own, "abc", "AbC", "AbC "
        )
