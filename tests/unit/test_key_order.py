"""What follows from the collation of the key: the words of queries, what tokens hold, and when a scan is refused."""

from dataclasses import replace
from typing import Any, cast

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import ConflictError, InvalidRequestError, PreconditionError
from userstream_server.rows.dialects import MYSQL, SQLITE
from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session, refuse_changed_table
from userstream_server.rows.sql import (
    ascending_query,
    ends_query,
    range_query,
    some_keys_query,
    users_query,
)
from userstream_server.rows.table import Table
from userstream_server.rpc.key_order import check_keys, check_order, key_order
from userstream_server.rpc.tokens import KeyRange, Position, encode_partition, encode_token
from userstream_server.rpc.validation import check_stream_users

BY_CASE, BYTES = Table("utf8mb4_0900_ai_ci"), Table("utf8mb4_bin")


class Answering:
    """A session over a table that answers every query with one row, and may have changed meanwhile."""

    dialect = MYSQL

    def __init__(self, table: Table, *, answer: bytes = b"yes", now: Table | None = None) -> None:
        self.table = table
        self._answer = answer
        self._now = now or table
        self.queries: list[Any] = []

    def look_at_table(self) -> Table:
        return self._now

    def blocks(self, query: Any) -> list[list[tuple[bytes]]]:
        self.queries.append(query)
        return [[(self._answer,)]]


def users_of(session: Answering) -> Users:
    return Users(cast("Session", session))


@pytest.mark.parametrize(
    "collation", ["", "binary", "BINARY", "utf8mb4_bin", "utf8mb4_0900_bin", "latin1_bin"]
)
def test_byte_by_byte(collation: str) -> None:
    """Binary collations order ids as bytes do, whatever their name; tokens then say nothing of the order."""
    table = Table(collation)

    assert (True, 0) == (table.is_bytewise, table.order)
    assert pb.KEY_ORDER_UNSPECIFIED == key_order(table)


@pytest.mark.parametrize(
    ("collation", "order"),
    [
        ("utf8mb4_0900_ai_ci", 1_478_441_032),
        ("NOCASE", 837_463_691),
        ("bw0hivn_ci", 1),  # whose CRC-32 is 0, which stands for byte by byte
    ],
)
def test_other_orders(collation: str, order: int) -> None:
    """Each collation has a number of 32 bits that stays the same in every version: tokens hold it."""
    table = Table(collation)

    assert (False, order) == (table.is_bytewise, table.order)
    assert pb.KEY_ORDER_COLLATION == key_order(table)


@pytest.mark.parametrize("collation", ["latin1_bin_ci", "NOBINARY", "_bin2"])
def test_names_that_look_like_binary_ones(collation: str) -> None:
    """Only what ends in _bin is a binary collation, and the one that is called so."""
    assert not Table(collation).is_bytewise


@pytest.mark.parametrize("scan", [Scan(after="a"), Scan(up_to="b"), Scan(after="a", up_to="b")])
def test_a_table_that_changed_under_a_scan(scan: Scan) -> None:
    """A scan whose last query had bounds does not end OK; the error says what to do."""
    session = cast("Session", Answering(BYTES, now=BY_CASE))
    with pytest.raises(ConflictError) as caught:
        refuse_changed_table(session, scan)

    words = "Retry; a stream resumes from its last resume_token, unless the order has changed."
    assert "TABLE_CHANGED" == caught.value.reason
    assert f"The key of user_data was changed while it was read. {words}" == caught.value.message


def test_scans_that_no_change_can_spoil() -> None:
    """Without bounds no key was compared, and a table that is as it was cannot spoil anything."""
    refuse_changed_table(cast("Session", Answering(BYTES, now=BY_CASE)), Scan(limit=5))
    refuse_changed_table(cast("Session", Answering(BYTES)), Scan(after="a", up_to="b"))


class Paged(Answering):
    """A session over a table of three users that changes while it is read."""

    def blocks(self, query: Any, rows: Any = None) -> Any:  # noqa: ARG002
        after = query.parameters[0] if query.parameters else ""
        found = [(key, b"n", b"e", b"1") for key in (b"a", b"b", b"c") if key.decode() > after]
        limit = int(query.text.rpartition(" ")[2])
        yield from ([row] for row in found[:limit])


def test_pages_of_a_table_that_changed() -> None:
    """Pages come while others follow; the last one would say that nothing does, and is refused."""
    users = users_of(Paged(BYTES, now=BY_CASE))
    pages = users.lazy_paginate(1)

    assert ["a", "b"] == [next(pages).last_key for _ in range(2)]
    with pytest.raises(ConflictError):
        next(pages)
    with pytest.raises(ConflictError):
        users.refuse_changed_table(Scan(after="a"))
    users.refuse_changed_table(Scan())


IN_BYTES, IN_CASE = (KeyRange("a", "b", table.order) for table in (BYTES, BY_CASE))


@pytest.mark.parametrize(
    ("made", "table"),
    [
        (Position(), BY_CASE),
        (KeyRange(), BY_CASE),
        (Position("a"), BYTES),
        (Position("a", order=BY_CASE.order), BY_CASE),
        (IN_CASE, BY_CASE),
        (IN_BYTES, BYTES),
    ],
)
def test_tokens_of_this_order(made: Position | KeyRange, table: Table) -> None:
    """They are taken, and so is the start of a scan in any order."""
    check_order(users_of(Answering(table)), "resume_token", made)


@pytest.mark.parametrize(
    ("made", "table"),
    [
        (Position("a"), BY_CASE),
        (Position("a", order=BY_CASE.order), BYTES),
        (Position("a", order=BY_CASE.order), Table("utf8mb4_general_ci")),
        (IN_BYTES, BY_CASE),
        (IN_CASE, BYTES),
    ],
)
def test_tokens_of_another_order(made: Position | KeyRange, table: Table) -> None:
    """Rows would be missing behind them, so they are refused for good."""
    with pytest.raises(PreconditionError) as caught:
        check_order(users_of(Answering(table)), "resume_token", made)

    assert "KEY_ORDER_CHANGED" == caught.value.reason
    assert (
        "The collation or type of user_id was changed after this token or partition was made, and rows"
        " would be missing behind it. Begin again without it." == caught.value.message
    )


WHOLE = KeyRange()


def asked_for(keys: KeyRange = WHOLE, last: str | None = None, order: int = 0) -> Any:
    """Plan a scan of a key range, resumed after a key if there is one."""
    request = pb.StreamUsersRequest(partition=encode_partition(keys))
    bound_to = check_stream_users(request).bound_to
    if last:
        request.resume_token = encode_token(bound_to, Position(last, 1, order=order))
    return check_stream_users(request)


def test_where_a_token_s_key_lies_is_asked_of_the_database() -> None:
    """One query, with the range's bounds and the key; none where there is no range."""
    session = Answering(BYTES)
    check_keys(users_of(session), asked_for())
    check_keys(users_of(session), asked_for(last="k"))
    assert [] == session.queries

    check_keys(users_of(session), asked_for(KeyRange("a", "z"), "k"))
    check_keys(users_of(session), asked_for(KeyRange("a", None), "k"))
    check_keys(users_of(session), asked_for(KeyRange(None, "z")))

    asked = [query.parameters for query in session.queries]
    assert [("a", "k", "k", "z"), ("a", "k"), ()] == asked


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (None, "partition: not a partition; take one from PartitionUsers"),
        ("k", "resume_token: not a token of this partition"),
    ],
)
def test_keys_that_lie_elsewhere(last: str | None, message: str) -> None:
    """The range's bounds do not ascend, or the token's key is outside: somebody forged them."""
    with pytest.raises(InvalidRequestError) as caught:
        check_keys(users_of(Answering(BYTES, answer=b"no")), asked_for(KeyRange("a", "z"), last))

    assert ("INVALID_TOKEN", message) == (caught.value.reason, caught.value.message)


@pytest.mark.parametrize("order", [BY_CASE.order, 1])
def test_partition_and_token_of_another_order(order: int) -> None:
    """Either of them is refused before the database is asked."""
    session = Answering(BYTES)
    keys = KeyRange("a", "z", order)
    for plan in (asked_for(keys), asked_for(KeyRange("a", "z"), "k", order)):
        with pytest.raises(PreconditionError):
            check_keys(users_of(session), plan)

    assert [] == session.queries


def test_words_for_a_mysql_table() -> None:
    """Keys of callers are compared in the column's own collation, and a changed one finds no row."""
    dialect = MYSQL.of(BY_CASE)
    value = "CONVERT(%s USING utf8mb4) COLLATE utf8mb4_0900_ai_ci"
    unchanged = "(SELECT COLLATION(MAX(user_id)) FROM user_data) = 'utf8mb4_0900_ai_ci'"

    assert replace(MYSQL, key_value=value, unchanged=unchanged) == dialect
    assert (
        f"SELECT CASE WHEN {value} < {value} AND {value} <= {value} THEN 'yes' ELSE 'no' END"
        == ascending_query(dialect, "a", "k", "z").text
    )
    for scan in (Scan(after="a"), Scan(up_to="b")):
        assert f" AND {unchanged} ORDER BY" in users_query(dialect, scan, limit=1).text
    assert unchanged not in users_query(dialect, Scan(), limit=1).text


def test_words_for_a_sqlite_table() -> None:
    """The index's collation is spelled out for keys of callers and for the column."""
    dialect = SQLITE.of(Table("NOCASE"))

    assert replace(SQLITE, key="user_id COLLATE NOCASE", key_value="? COLLATE NOCASE") == dialect
    text = users_query(dialect, Scan(after="a"), limit=1).text
    assert text.endswith(
        " WHERE user_id COLLATE NOCASE > ? ORDER BY user_id COLLATE NOCASE LIMIT 1"
    )


@pytest.mark.parametrize("name", ["", "a b", "latin1'", "x;", "é"])
@pytest.mark.parametrize("dialect", [MYSQL, SQLITE])
def test_names_that_no_collation_has(dialect: Any, name: str) -> None:
    """A collation's name stands in the text of queries, so nothing but a name gets there."""
    with pytest.raises(ValueError, match=r"^a name has letters, digits and underscores"):
        dialect.of(Table(name))


@pytest.mark.parametrize(
    ("after", "key", "up_to", "condition", "parameters"),
    [
        (None, None, None, "1 = 1", ()),
        ("a", None, None, "1 = 1", ()),
        (None, "k", None, "1 = 1", ()),
        ("a", "k", None, "%s < %s", ("a", "k")),
        (None, "k", "z", "%s <= %s", ("k", "z")),
        ("a", None, "z", "%s < %s", ("a", "z")),
        ("a", "k", "z", "%s < %s AND %s <= %s", ("a", "k", "k", "z")),
    ],
)
def test_the_question_where_a_key_lies(
    after: str | None, key: str | None, up_to: str | None, condition: str, parameters: Any
) -> None:
    """Above the lower bound, at most the upper one; only what is there is compared."""
    query = ascending_query(MYSQL, after, key, up_to)

    assert f"SELECT CASE WHEN {condition} THEN 'yes' ELSE 'no' END" == query.text
    assert parameters == query.parameters


def test_questions_for_a_map_of_the_keys() -> None:
    """They read a few keys at either end, and estimate ranges without the condition on the collation."""
    dialect = MYSQL.of(BYTES)
    key, where = "SELECT user_id FROM user_data", " WHERE user_id > %s AND user_id <= %s"
    first = some_keys_query(dialect, last=False)
    last = some_keys_query(dialect, last=True)
    rows = range_query(dialect, Scan(after="a", up_to="b"))
    ends = ends_query(dialect, [(3, ("a", "b")), (4, ("c", "d"))])

    assert f"{key} ORDER BY user_id LIMIT 8" == first.text
    assert f"{key} ORDER BY user_id DESC LIMIT 8" == last.text
    assert (f"SELECT 1 FROM user_data{where}", ("a", "b")) == (rows.text, rows.parameters)
    of_range = (
        f"({key}{where} ORDER BY user_id LIMIT 1), ({key}{where} ORDER BY user_id DESC LIMIT 1)"
    )
    assert (
        f"SELECT CAST(3 AS CHAR), {of_range} UNION ALL SELECT CAST(4 AS CHAR), {of_range}"
        == ends.text
    )
    assert ("a", "b", "a", "b", "c", "d", "c", "d") == ends.parameters
    assert (1, 1, 3) == (first.columns, rows.columns, ends.columns)
