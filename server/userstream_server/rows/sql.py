"""All SQL that reads. Values are always parameters; the texts are put together from constants.

Each function returns a `Query` for either database. They differ in few words, which a `Dialect`
holds (dialects.py). The only words that come from the database are the names of its table and its collation.

Keys are compared and ordered by the database alone, in the collation of the key's index
(docs/adr/0011-key-order.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from userstream_server.rows.dialects import Dialect, escape_like
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.scan import EVERYONE, Scan, UserFilter

__all__ = [
    "Query",
    "Reach",
    "ages_query",
    "ascending_query",
    "boundary_query",
    "by_id_query",
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
        fields: Which fields of a user the columns are, in order; of a query for users alone.
    """

    text: str
    parameters: tuple[object, ...] = ()
    columns: int = 1
    reach: Reach = Reach.ROWS
    fields: tuple[str, ...] = ALL_FIELDS


def users_query(dialect: Dialect, scan: Scan, *, limit: int, offset: int = 0) -> Query:
    """Select the next `limit` users of a scan; `offset` skips that many of them first."""
    where, parameters = _where(dialect, scan, sends_key=True)
    skip = f" OFFSET {int(offset)}" if offset else ""
    return Query(
        f"SELECT {_columns(dialect, scan.fields)} FROM {dialect.table}{where}"
        f" ORDER BY {dialect.key} LIMIT {int(limit)}{skip}",
        parameters,
        columns=len(scan.fields),
        reach=Reach.RANGE if offset else _reach(dialect, scan),
        fields=scan.fields,
    )


def by_id_query(dialect: Dialect, user_ids: Sequence[str], fields: tuple[str, ...]) -> Query:
    """Select the users with these ids, in no order.

    The key's collation may take another id for the same, so the caller must compare what it gets.

    Args:
        dialect: The words, for the table.
        user_ids: Ids that the table may hold.
        fields: What to read of each user.
    """
    marks = ", ".join([dialect.key_mark] * len(user_ids))
    return Query(
        f"SELECT {_columns(dialect, fields)} FROM {dialect.table} WHERE {dialect.key} IN ({marks})",
        tuple(user_ids),
        columns=len(fields),
        reach=_reach(dialect, Scan()),
        fields=fields,
    )


def ages_query(dialect: Dialect, scan: Scan) -> Query:
    """Select only the ages of a scan's users, in no order: sums do not need one."""
    where, parameters = _where(dialect, scan)
    text = f"SELECT {dialect.number.format('age')} FROM {dialect.table}{where}"
    return Query(text, parameters, reach=Reach.RANGE)


def boundary_query(dialect: Dialect, scan: Scan, *, users: int) -> Query:
    """Select the user_id of the scan's `users`-th user, if there is one."""
    where, parameters = _where(dialect, scan, sends_key=True)
    return Query(
        f"SELECT {dialect.user_id} FROM {dialect.table}{where}"
        f" ORDER BY {dialect.key} LIMIT 1 OFFSET {int(users) - 1}",
        parameters,
        reach=Reach.RANGE,
    )


def last_key_query(dialect: Dialect, scan: Scan) -> Query:
    """Select the user_id of the scan's last user, if there is one."""
    where, parameters = _where(dialect, scan, sends_key=True)
    return Query(
        f"SELECT {dialect.user_id} FROM {dialect.table}{where} ORDER BY {dialect.key} DESC LIMIT 1",
        parameters,
        reach=_reach(dialect, scan),
    )


def count_query(dialect: Dialect, scan: Scan) -> Query:
    """Count a scan's users exactly; reads the whole range."""
    where, parameters = _where(dialect, scan)
    text = f"SELECT {dialect.number.format('COUNT(*)')} FROM {dialect.table}{where}"
    return Query(text, parameters, reach=Reach.RANGE)


def _reach(dialect: Dialect, scan: Scan) -> Reach:
    drops_none = scan.filter == EVERYONE and not dialect.may_filter
    return Reach.ROWS if drops_none else Reach.UNKNOWN


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
        f"SELECT {dialect.user_id} FROM {dialect.table} ORDER BY {dialect.key}{direction} LIMIT 8"
    )


def range_query(dialect: Dialect, scan: Scan) -> Query:
    """Select a key range's rows; for estimates alone."""
    where, parameters = _where(replace(dialect, unchanged=""), scan)
    return Query(f"SELECT 1 FROM {dialect.table}{where}", parameters)


def ends_query(dialect: Dialect, ranges: Sequence[tuple[int, tuple[str, str]]]) -> Query:
    """Select number, first and last key of some key ranges, each by two looks at the index; NULL for an empty one."""
    texts: list[str] = []
    parameters: list[object] = []
    for number, (after, up_to) in ranges:
        where, values = _where(replace(dialect, unchanged=""), Scan(after=after, up_to=up_to))
        first, last = (
            f"(SELECT {dialect.user_id} FROM {dialect.table}{where} ORDER BY {dialect.key}{direction} LIMIT 1)"
            for direction in ("", " DESC")
        )
        texts.append(f"SELECT CAST({int(number)} AS CHAR), {first}, {last}")
        parameters += values * 2
    return Query(" UNION ALL ".join(texts), tuple(parameters), columns=3)


def _columns(dialect: Dialect, fields: Sequence[str]) -> str:
    special = {"user_id": dialect.user_id, "age": dialect.number.format("age")}
    return ", ".join(special.get(name) or dialect.text.format(name) for name in fields)


def _where(
    dialect: Dialect, scan: Scan, *, sends_key: bool = False
) -> tuple[str, tuple[object, ...]]:
    """Build the WHERE clause of a scan's key range and filter; empty when there is none."""
    conditions = [
        (f"{dialect.key} > {dialect.key_mark}", scan.after),
        (f"{dialect.key} <= {dialect.key_mark}", scan.up_to),
        (f"age > {dialect.mark}", scan.filter.age_over),
        (f"age <= {dialect.mark}", scan.filter.age_up_to),
    ]
    texts = [text for text, value in conditions if value is not None]
    values: list[object] = [value for _, value in conditions if value is not None]
    more_texts, more_values = _text_conditions(dialect, scan.filter)
    texts += more_texts
    values += more_values
    has_bounds = (scan.after, scan.up_to) != (None, None)
    if dialect.unchanged and (has_bounds or (sends_key and dialect.converts_key)):
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
