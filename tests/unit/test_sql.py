"""SQL is put together from constants; whatever a caller sends travels as a parameter."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream_server.rows.dialects import MYSQL, SQLITE, Dialect
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.sql import (
    Query,
    Reach,
    ages_query,
    boundary_query,
    by_id_query,
    count_query,
    last_key_query,
    users_query,
)
from userstream_server.rows.table import Table

TEXT = st.text(min_size=1)
FILTERS = st.builds(
    UserFilter,
    age_over=st.none() | st.integers(),
    age_up_to=st.none() | st.integers(),
    name_prefix=st.just("") | TEXT,
    email_domain=st.just("") | TEXT,
)
SCANS = st.builds(Scan, filter=FILTERS, after=st.none() | TEXT, up_to=st.none() | TEXT)


def conditions(scan: Scan) -> int:
    """Count the conditions that a scan sets."""
    wanted = scan.filter
    values: list[Any] = [wanted.age_over, wanted.age_up_to, scan.after, scan.up_to]
    return sum(v is not None for v in values) + sum(
        map(bool, (wanted.name_prefix, wanted.email_domain))
    )


def queries(dialect: Dialect, scan: Scan) -> list[Query]:
    return [
        users_query(dialect, scan, limit=10, offset=3),
        ages_query(dialect, scan),
        boundary_query(dialect, scan, users=5),
        count_query(dialect, scan),
        last_key_query(dialect, scan),
    ]


@pytest.mark.parametrize("dialect", [MYSQL, SQLITE])
@given(scan=SCANS)
def test_values_are_parameters(dialect: Dialect, scan: Scan) -> None:
    """The text depends on which conditions there are, never on their values; each has its mark."""
    same = Scan(
        UserFilter(
            None if scan.filter.age_over is None else 1,
            None if scan.filter.age_up_to is None else 1,
            "a" if scan.filter.name_prefix else "",
            "a" if scan.filter.email_domain else "",
        ),
        None if scan.after is None else "a",
        None if scan.up_to is None else "a",
    )
    for query, plain in zip(queries(dialect, scan), queries(dialect, same), strict=True):
        assert plain.text == query.text
        assert conditions(scan) == len(query.parameters) == query.text.count(dialect.mark)


RANGE = Scan(UserFilter(25, 60, "Zo%", "Example_.COM"), after="a", up_to="b")
WHERE = (
    " WHERE user_id > %s AND user_id <= %s AND age > %s AND age <= %s"
    " AND name LIKE %s COLLATE utf8mb4_bin ESCAPE '!'"
    " AND LOWER(email) LIKE %s COLLATE utf8mb4_bin ESCAPE '!'"
)
VALUES = ("a", "b", 25, 60, "Zo!%%", "%@example!_.com")
FROM = " FROM user_data"


def test_every_query_as_mysql_gets_it() -> None:
    """Keyset pagination over the key, a key range open below, and each filter as one condition."""
    users = "SELECT user_id, name, email, age FROM user_data"
    key = "SELECT user_id FROM user_data"

    assert [
        f"{users}{WHERE} ORDER BY user_id LIMIT 10 OFFSET 3",
        f"SELECT age{FROM}{WHERE}",
        f"{key}{WHERE} ORDER BY user_id LIMIT 1 OFFSET 4",
        f"SELECT COUNT(*){FROM}{WHERE}",
        f"{key}{WHERE} ORDER BY user_id DESC LIMIT 1",
    ] == [query.text for query in queries(MYSQL, RANGE)]
    assert {VALUES} == {query.parameters for query in queries(MYSQL, RANGE)}
    assert f"{users} ORDER BY user_id LIMIT 10" == users_query(MYSQL, Scan(), limit=10).text


BINARY = Table("binary", key_type="binary")
VIEWED = Table("utf8mb4_bin", "User_Data", is_view=True)


def test_ids_in_bytes_are_compared_as_they_are() -> None:
    """Only what is sent is made into text, and never from a column of another type."""
    dialect = MYSQL.of(BINARY)
    value = "UNHEX(REPLACE(%s, '-', ''))"
    is_binary = "(SELECT COLLATION(MAX(user_id)) FROM user_data) = 'binary'"
    users = f"SELECT {dialect.user_id}, name, email, age FROM user_data"

    assert (
        f"{users} WHERE user_id > {value} AND {is_binary} ORDER BY user_id LIMIT 9"
        == users_query(dialect, Scan(after="a"), limit=9).text
    )
    assert (
        f"{users} WHERE {is_binary} ORDER BY user_id LIMIT 9"
        == users_query(dialect, Scan(), limit=9).text
    )
    assert "SELECT age FROM user_data" == ages_query(dialect, Scan()).text


def test_a_view_by_its_name() -> None:
    """Its own condition may leave out rows, so how far a query reads is not known."""
    query = users_query(MYSQL.of(VIEWED), Scan(after="a"), limit=9)

    assert Reach.UNKNOWN is query.reach
    assert "FROM User_Data WHERE user_id > %s AND (SELECT COLLATION" in query.text


@pytest.mark.parametrize("name", ["a-b", "a b", "", "a`"])
def test_names_from_the_database_are_plain(name: str) -> None:
    """They stand in the text, so others than those that fit there are refused."""
    for table in (Table("utf8mb4_bin", name), Table(name)):
        with pytest.raises(ValueError, match="letters, digits and underscores"):
            MYSQL.of(table)


@given(ids=st.lists(TEXT, min_size=1, max_size=9))
@pytest.mark.parametrize("dialect", [MYSQL, SQLITE])
def test_ids_are_parameters(dialect: Dialect, ids: list[str]) -> None:
    """A mark for each id, and nothing of it in the text."""
    query = by_id_query(dialect, ids, ("user_id",))
    same = by_id_query(dialect, ["a"] * len(ids), ("user_id",))

    assert (tuple(ids), same.text) == (query.parameters, query.text)
    assert len(ids) == query.text.count(dialect.mark)


LIMITED, FILTERED = Scan(after="a", up_to="b"), Scan(UserFilter(age_over=1))


def test_how_much_a_query_reads() -> None:
    """By the key only what it returns; with a filter nobody knows; with an offset or for figures the whole range."""
    by_id = by_id_query(MYSQL, ["a", "b"], ("user_id", "age"))
    rows = [users_query(MYSQL, LIMITED, limit=9), last_key_query(MYSQL, LIMITED), by_id]
    unknown = [users_query(MYSQL, FILTERED, limit=9), last_key_query(MYSQL, FILTERED)]
    whole = [
        users_query(MYSQL, LIMITED, limit=9, offset=1),
        ages_query(MYSQL, LIMITED),
        boundary_query(MYSQL, LIMITED, users=5),
        count_query(MYSQL, LIMITED),
    ]

    assert [Reach.ROWS] * 4 == [query.reach for query in (*rows, Query("SELECT 1"))]
    assert [Reach.UNKNOWN] * 2 == [query.reach for query in unknown]
    assert [Reach.RANGE] * 4 == [query.reach for query in whole]


def test_how_many_columns_a_query_returns() -> None:
    """A user has four; keys, ages and counts are one."""
    assert [4, 1, 1, 1, 1] == [query.columns for query in queries(MYSQL, Scan())]


@pytest.mark.parametrize(
    ("text", "pattern"), [("", ""), ("50% off!", "50!% off!!"), ("a_b%_!", "a!_b!%!_!!")]
)
def test_patterns_stand_for_themselves(text: str, pattern: str) -> None:
    """LIKE's wildcards and our escape character are escaped wherever they come."""
    wanted = UserFilter(name_prefix=text or "-", email_domain=text or "-")
    query = users_query(MYSQL, Scan(wanted), limit=1)

    assert (f"{pattern or '-'}%", f"%@{pattern or '-'}") == query.parameters


@pytest.mark.parametrize("number", ["1; DROP TABLE user_data", None, 1.5j])
def test_a_limit_is_a_number(number: Any) -> None:
    """Limits and offsets stand in the text, so nothing but whole numbers gets there."""
    with pytest.raises((TypeError, ValueError)):
        users_query(MYSQL, Scan(), limit=number)
