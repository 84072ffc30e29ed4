"""All SQL that reads. Values are always parameters; the texts are put together from constants.

Each function returns a `Query` for either database. They differ in few words, which a `Dialect`
holds (dialects.py). The only words that come from the database are names of collations.

Keys are compared and ordered by the database alone, in the collation of the key's index
(docs/adr/0011-key-order.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from userstream_server.rows.dialects import Dialect, escape_like
from userstream_server.rows.scan import EVERYONE, Scan, UserFilter

__all__ = [
    "MYSQL_COLUMNS",
    "SQLITE_COLUMNS",
    "Query",
    "Reach",
    "ages_query",
    "ascending_query",
    "boundary_query",
    "count_query",
    "ends_query",
    "last_key_query",
    "range_query",
    "some_keys_query",
    "users_query",
]


class Reach(Enum):
    """How much of the table a query reads."""

    ROWS = "the rows that it returns, by the key"
    UNKNOWN = "the rows that it returns, and however many its filter drops before them"
    RANGE = "its whole key range"


@dataclass(frozen=True, slots=True)
class Query:
    """One statement.

    Attributes:
        text: SQL with the driver's parameter marks.
        parameters: The values, in order.
        columns: How many columns a row has.
        reach: How much of the table it reads; decides which connections of the pool it may take.
    """

    text: str
    parameters: tuple[object, ...] = ()
    columns: int = 1
    reach: Reach = Reach.ROWS


def users_query(dialect: Dialect, scan: Scan, *, limit: int, offset: int = 0) -> Query:
    """Select the next `limit` users of a scan; `offset` skips that many of them first."""
    where, parameters = _where(dialect, scan)
    skip = f" OFFSET {int(offset)}" if offset else ""
    return Query(
        f"SELECT {_columns(dialect)} FROM user_data{where}"
        f" ORDER BY {dialect.key} LIMIT {int(limit)}{skip}",
        parameters,
        columns=4,
        reach=Reach.RANGE if offset else _reach(scan),
    )


def ages_query(dialect: Dialect, scan: Scan) -> Query:
    """Select only the ages of a scan's users, in no order: sums do not need one."""
    where, parameters = _where(dialect, scan)
    text = f"SELECT {dialect.number.format('age')} FROM user_data{where}"
    return Query(text, parameters, reach=Reach.RANGE)


def boundary_query(dialect: Dialect, scan: Scan, *, users: int) -> Query:
    """Select the user_id of the scan's `users`-th user, if there is one."""
    where, parameters = _where(dialect, scan)
    return Query(
        f"SELECT {dialect.text.format('user_id')} FROM user_data{where}"
        f" ORDER BY {dialect.key} LIMIT 1 OFFSET {int(users) - 1}",
        parameters,
        reach=Reach.RANGE,
    )


def last_key_query(dialect: Dialect, scan: Scan) -> Query:
    """Select the user_id of the scan's last user, if there is one."""
    where, parameters = _where(dialect, scan)
    return Query(
        f"SELECT {dialect.text.format('user_id')} FROM user_data{where}"
        f" ORDER BY {dialect.key} DESC LIMIT 1",
        parameters,
        reach=_reach(scan),
    )


def count_query(dialect: Dialect, scan: Scan) -> Query:
    """Count a scan's users exactly; reads the whole range."""
    where, parameters = _where(dialect, scan)
    text = f"SELECT {dialect.number.format('COUNT(*)')} FROM user_data{where}"
    return Query(text, parameters, reach=Reach.RANGE)


def _reach(scan: Scan) -> Reach:
    return Reach.ROWS if scan.filter == EVERYONE else Reach.UNKNOWN


def ascending_query(
    dialect: Dialect, after: str | None, token: str | None, up_to: str | None
) -> Query:
    """Ask whether a range's bounds ascend, and whether a key lies within: above `after`, at most `up_to`.

    Args:
        dialect: The words, for the table.
        after: The range's lower bound; None for none.
        token: The key; None for none.
        up_to: The range's upper bound; None for none.
    """
    pairs = [(after, "<", token or up_to), (token, "<=", up_to)]
    asked = [(a, sign, b) for a, sign, b in pairs if a is not None and b is not None]
    value = dialect.key_value
    texts = [f"{value} {sign} {value}" for _, sign, _ in asked]
    condition = " AND ".join(texts) or "1 = 1"
    return Query(
        f"SELECT CASE WHEN {condition} THEN 'yes' ELSE 'no' END",
        tuple(key for a, _, b in asked for key in (a, b)),
    )


def some_keys_query(dialect: Dialect, *, last: bool) -> Query:
    """Select the table's first few keys, or its last ones in descending order."""
    direction = " DESC" if last else ""
    return Query(
        f"SELECT {dialect.text.format('user_id')} FROM user_data ORDER BY {dialect.key}{direction} LIMIT 8"
    )


def range_query(dialect: Dialect, scan: Scan) -> Query:
    """Select a key range's rows; for estimates alone."""
    where, parameters = _where(replace(dialect, unchanged=""), scan)
    return Query(f"SELECT 1 FROM user_data{where}", parameters)


def ends_query(dialect: Dialect, ranges: Sequence[tuple[int, tuple[str, str]]]) -> Query:
    """Select number, first and last key of some key ranges, each by two looks at the index; NULL for an empty one."""
    texts: list[str] = []
    parameters: list[object] = []
    for number, (after, up_to) in ranges:
        where, values = _where(replace(dialect, unchanged=""), Scan(after=after, up_to=up_to))
        first, last = (
            f"(SELECT user_id FROM user_data{where} ORDER BY {dialect.key}{direction} LIMIT 1)"
            for direction in ("", " DESC")
        )
        texts.append(f"SELECT CAST({int(number)} AS CHAR), {first}, {last}")
        parameters += values * 2
    return Query(" UNION ALL ".join(texts), tuple(parameters), columns=3)


def _columns(dialect: Dialect) -> str:
    texts = (dialect.text.format(name) for name in ("user_id", "name", "email"))
    return ", ".join([*texts, dialect.number.format("age")])


def _where(dialect: Dialect, scan: Scan) -> tuple[str, tuple[object, ...]]:
    """Build the WHERE clause of a scan's key range and filter; empty when there is none."""
    conditions = [
        (f"{dialect.key} > {dialect.mark}", scan.after),
        (f"{dialect.key} <= {dialect.mark}", scan.up_to),
        (f"age > {dialect.mark}", scan.filter.age_over),
        (f"age <= {dialect.mark}", scan.filter.age_up_to),
    ]
    texts = [text for text, value in conditions if value is not None]
    values: list[object] = [value for _, value in conditions if value is not None]
    more_texts, more_values = _text_conditions(dialect, scan.filter)
    texts += more_texts
    values += more_values
    if dialect.unchanged and (scan.after, scan.up_to) != (None, None):
        texts.append(dialect.unchanged)
    return (" WHERE " + " AND ".join(texts) if texts else ""), tuple(values)


def _text_conditions(dialect: Dialect, wanted: UserFilter) -> tuple[list[str], list[object]]:
    texts: list[str] = []
    values: list[object] = []
    if wanted.name_prefix:
        texts.append(dialect.name_prefix)
        values.append(dialect.prefix_value(wanted.name_prefix))
    if wanted.email_domain:
        texts.append(dialect.email_domain)
        values.append("%@" + escape_like(wanted.email_domain.lower()))
    return texts, values


MYSQL_COLUMNS: Final = Query(
    # A key counts when it is unique, over user_id alone, and over all of it. Only constants tell which table is meant:
    # MariaDB opens every table of the server otherwise.
    "SELECT LOWER(c.COLUMN_NAME), LOWER(c.DATA_TYPE), COALESCE(c.NUMERIC_SCALE, 0), c.IS_NULLABLE,"
    " EXISTS (SELECT 1 FROM information_schema.STATISTICS s WHERE s.TABLE_SCHEMA = DATABASE()"
    " AND s.TABLE_NAME = 'user_data' AND s.NON_UNIQUE = 0"
    " GROUP BY s.INDEX_NAME HAVING COUNT(*) = 1 AND MAX(s.COLUMN_NAME) = c.COLUMN_NAME"
    " AND MAX(s.SUB_PART) IS NULL), COALESCE(c.COLLATION_NAME, '')"
    " FROM information_schema.COLUMNS c"
    " WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = 'user_data'",
    columns=6,
)
"""Describes user_data: name, type, scale, nullable (YES or NO), whether the column alone is a unique key, collation."""

SQLITE_COLUMNS: Final = Query(
    # The collation is that of a unique index over the column alone, BINARY if one has it.
    "SELECT lower(c.name), lower(c.type), '0', CASE WHEN c.\"notnull\" OR c.pk THEN 'NO' ELSE 'YES' END,"
    " CASE WHEN k.coll IS NULL THEN '0' ELSE '1' END, coalesce(k.coll, '')"
    " FROM pragma_table_info('user_data') c LEFT JOIN"
    " (SELECT x.name, min(x.coll) AS coll FROM pragma_index_list('user_data') i"
    ' JOIN pragma_index_xinfo(i.name) x WHERE i."unique" AND NOT i.partial AND x."key"'
    ' AND (SELECT count(*) FROM pragma_index_xinfo(i.name) y WHERE y."key") = 1 GROUP BY x.name) k'
    " ON k.name = c.name",
    columns=6,
)
"""The same for SQLite."""
