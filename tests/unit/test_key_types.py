"""Keys that are no text: UUIDs in bytes and MariaDB's UUIDs, views, and look-ups by id."""

from dataclasses import replace
from typing import Any, cast

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import ConflictError, InvalidRequestError, UnavailableError
from userstream_server.rows.dialects import MYSQL, SQLITE
from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session, refuse_changed_table
from userstream_server.rows.sql import boundary_query, by_id_query, last_key_query, users_query
from userstream_server.rows.table import Table
from userstream_server.rows.types import EncodedUsers
from userstream_server.rpc.key_order import check_keys, check_order
from userstream_server.rpc.tokens import KeyRange, Position, encode_partition, encode_token
from userstream_server.rpc.validation import StreamPlan, check_stream_users

ID = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
TEXT = Table("utf8mb4_bin")
BINARY = Table("binary", key_type="binary")
UUID = Table("uuid", key_type="uuid")
VIEW = Table("utf8mb4_bin", "User_Data", is_view=True)


def test_a_table_of_which_nothing_is_known() -> None:
    """It is called user_data, has text for keys, and is no view; its order is byte by byte."""
    assert Table("", "user_data", "text", is_view=False) == Table()
    assert Table().is_bytewise


@pytest.mark.parametrize(
    ("table", "order", "converts"),
    [
        (TEXT, 0, False),
        (BINARY, 3_336_628_485, True),
        (UUID, 3_514_781_862, False),
        (VIEW, 0, False),
    ],
)
def test_what_the_type_decides(table: Table, order: int, *, converts: bool) -> None:
    """UUIDs have an order of their own also where they ascend byte by byte; only bytes are made into text."""
    assert (order, converts) == (table.order, table.converts_key)


@pytest.mark.parametrize(
    ("user_id", "is_uuid"),
    [
        (ID, True),
        (ID.upper(), False),
        (ID.replace("-", ""), False),
        (f"{ID}0", False),
        (f"x{ID}", False),
        ("", False),
    ],
)
def test_which_ids_may_be_there(user_id: str, *, is_uuid: bool) -> None:
    """Among UUIDs only those as they are written; any other id would be compared as some UUID."""
    assert TEXT.may_hold(user_id)
    assert (is_uuid, is_uuid) == (BINARY.may_hold(user_id), UUID.may_hold(user_id))


def test_words_for_each_type() -> None:
    """Bytes go both ways through a function, UUIDs are cast, and a view's collation is asked without a row."""
    value = "UNHEX(REPLACE(%s, '-', ''))"
    text_of_bytes = "INSERT(INSERT(INSERT(INSERT(LOWER(HEX(user_id)), 21, 0, '-'), 17, 0, '-'), 13, 0, '-'), 9, 0, '-')"
    unchanged = "(SELECT COLLATION(MAX(user_id)) FROM user_data) = 'binary'"

    assert replace(
        MYSQL,
        user_id=text_of_bytes,
        key_mark=value,
        key_value=value,
        converts_key=True,
        unchanged=unchanged,
    ) == MYSQL.of(BINARY)
    assert replace(MYSQL, key_value="CAST(%s AS UUID)") == MYSQL.of(UUID)
    assert replace(
        MYSQL,
        table="User_Data",
        may_filter=True,
        key_value="CONVERT(%s USING utf8mb4) COLLATE utf8mb4_bin",
        unchanged="(SELECT COLLATION(MAX(user_id)) FROM User_Data WHERE FALSE) = 'utf8mb4_bin'",
    ) == MYSQL.of(VIEW)


def test_keys_that_are_sent_are_made_right() -> None:
    """Wherever a query sends a key that it makes of bytes, it has the condition that they are still bytes."""
    binary, text = MYSQL.of(BINARY), MYSQL.of(TEXT)
    condition = f" WHERE {binary.unchanged}"

    assert condition in boundary_query(binary, Scan(), users=3).text
    assert condition in last_key_query(binary, Scan()).text
    assert condition in users_query(binary, Scan(), limit=3).text
    assert "WHERE" not in boundary_query(text, Scan(), users=3).text
    assert "WHERE" not in last_key_query(text, Scan()).text


def test_looking_up_by_id() -> None:
    """All ids in one query; bytes are compared with bytes."""
    binary = MYSQL.of(BINARY)
    value = binary.key_mark
    bare = by_id_query(SQLITE, ["a", "b"], ("user_id",))
    query = by_id_query(binary, ["a", "b"], ("user_id", "age"))

    assert bare.text.endswith(" FROM user_data WHERE user_id IN (?, ?)")
    assert (
        f"SELECT {binary.user_id}, age FROM user_data"
        f" WHERE user_id IN ({value}, {value})" == query.text
    )
    assert (("a", "b"), 2, 1) == (query.parameters, query.columns, bare.columns)


OTHER = ID.replace("0", "1")


@pytest.mark.parametrize(
    ("keys", "last", "field"),
    [
        (KeyRange("a", None, UUID.order), None, "partition"),
        (KeyRange(None, "a", UUID.order), None, "partition"),
        (KeyRange(ID, "a", UUID.order), None, "partition"),
        (KeyRange(), "a", "resume_token"),
        (KeyRange(ID, OTHER, UUID.order), "a", "resume_token"),
    ],
)
def test_tokens_whose_keys_are_no_uuids(keys: KeyRange, last: str | None, field: str) -> None:
    """Where all keys are UUIDs, another one was forged, and the error says in which field."""
    with pytest.raises(InvalidRequestError) as caught:
        check_keys(Users(cast("Session", Known(UUID))), planned(keys, last))

    assert "INVALID_TOKEN" == caught.value.reason
    assert f"{field}: not one of this table" == caught.value.message


def test_tokens_whose_keys_are_uuids() -> None:
    """They are taken, with and without bounds."""
    users = Users(cast("Session", Known(UUID)))
    check_keys(users, planned(KeyRange(), ID))
    check_keys(users, planned(KeyRange(), None))
    check_order(users, "partition", KeyRange(ID, None, UUID.order))
    check_order(users, "partition", KeyRange(None, ID, UUID.order))


def planned(keys: KeyRange, last: str | None) -> StreamPlan:
    """Plan a scan of a key range, resumed after a key if there is one."""
    request = pb.StreamUsersRequest(partition=encode_partition(keys))
    if last:
        bound_to = check_stream_users(request).bound_to
        request.resume_token = encode_token(bound_to, Position(last, 1, order=UUID.order))
    return check_stream_users(request)


class Known:
    """A session over a table with one user.

    Args:
        table: The table.
        now: What has become of it.
        failures: How many reads fail.
        looks: How many looks at the table fail.
    """

    dialect = SQLITE

    def __init__(
        self, table: Table, *, now: Table | None = None, failures: int = 0, looks: int = 0
    ) -> None:
        self.table = table
        self._now = now or table
        self._left = {"read": failures, "look": looks}
        self.asked: list[Any] = []

    def _answer(self, kind: str) -> None:
        self._left[kind] -= 1
        if self._left[kind] >= 0:
            raise UnavailableError("DATABASE_UNAVAILABLE", "away")

    def look_at_table(self) -> Table:
        self._answer("look")
        return self._now

    def encoded(self, query: Any, rows: Any) -> Any:
        self._answer("read")
        assert rows() == 1
        self.asked.append(query.parameters)
        yield from [EncodedUsers(b"user", 1, ID.encode(), ID.encode())] * (ID in query.parameters)

    def move_on(self, error: UnavailableError) -> None:
        assert error.message == "away"


def found(session: Known, *ids: str) -> dict[str, bytes]:
    users = Users(cast("Session", session))
    return users.encoded_by_id(ids, ("user_id",))


def test_users_by_id() -> None:
    """Each id is asked for once; ids that the table cannot hold are not asked for."""
    session = Known(UUID)

    assert {ID: b"user"} == found(session, ID, "nobody", ID)
    assert {} == found(session, "nobody")
    assert [(ID,)] == session.asked


def test_users_by_id_of_a_table_that_changed() -> None:
    """What was found is right; what was not found may be there in another form."""
    other = ID.replace("0", "1")

    assert {ID: b"user"} == found(Known(UUID, now=BINARY), ID)
    assert {ID: b"user"} == found(Known(UUID), ID, other)
    with pytest.raises(ConflictError) as caught:
        found(Known(UUID, now=BINARY), ID, other)
    assert "TABLE_CHANGED" == caught.value.reason


@pytest.mark.parametrize("times", [1, 2])
def test_another_host_takes_over(times: int) -> None:
    """The same look-up runs there from its beginning, and so does the look at the table."""
    session = Known(UUID, failures=times, looks=times)

    assert {ID: b"user"} == found(session, ID, ID.replace("0", "1"))
    with pytest.raises(ConflictError):
        refuse_changed_table(cast("Session", Known(TEXT, now=BINARY, looks=times)), Scan(after="a"))


def test_a_changed_type_under_a_scan() -> None:
    """Where keys are made of bytes, a scan without bounds is spoiled too."""
    with pytest.raises(ConflictError):
        refuse_changed_table(cast("Session", Known(BINARY, now=TEXT)), Scan())
    refuse_changed_table(cast("Session", Known(TEXT, now=BINARY)), Scan())
