"""What MySQL or MariaDB says of the table: also of a view, and of one whose name is in upper case."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from userstream_server.databases.table_check import (
    MYSQL_TABLE,
    MYSQL_VIEW,
    Column,
    check_shape,
    columns_of,
    missing_table,
    unfit_table,
)
from userstream_server.rows.dialects import MYSQL, Dialect
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table
from userstream_server.rows.table_queries import (
    MYSQL_NAMES,
    mysql_columns,
    one_user_plan,
    table_plan,
)

__all__ = ["described_table"]

Read = Callable[[Query], Iterable[list[Any]]]
"""Runs a query; returns its rows in blocks."""

_NAME = "user_data"
_SOME_KEYS = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
"""Whether they are there does not matter. Two, because the condition of a view may rule one out."""


def described_table(read: Read) -> Table:
    """Check and describe the table.

    Args:
        read: How to ask the database.

    Raises:
        PreconditionError: It is missing or does not fit.
        UserStreamError: From `read`.
    """
    columns = _columns(read, _NAME)
    # Nothing more is asked about the table that most have.
    if any(column.name == "user_id" and column.is_key for column in columns):
        return check_shape(columns)
    name, is_view = _found(read)
    if name != _NAME:
        columns = _columns(read, name)
    if not is_view:
        return check_shape(columns, MYSQL_TABLE, name)
    return _described_view(read, name, columns)


def _found(read: Read) -> tuple[str, bool]:
    """Return the table's name, and whether it is a view. The name in lower case goes first."""
    found = {str(name.decode()): kind == b"VIEW" for name, kind in _rows(read, MYSQL_NAMES)}
    if not found:
        raise missing_table()
    if _NAME in found:
        return _NAME, found[_NAME]
    if len(found) > 1:
        raise unfit_table(
            f"there are several, {' and '.join(sorted(found))}. RENAME TABLE the right one TO user_data."
        )
    return found.popitem()


def _described_view(read: Read, name: str, columns: list[Column]) -> Table:
    if not columns:
        raise unfit_table(
            "it is a view that cannot be read. Create the tables and columns that it names, or CREATE OR REPLACE VIEW"
            f" {name}; its definer needs SELECT on them."
        )
    # Nothing says which columns of a view are a key, so that is looked at last.
    assumed = [replace(column, is_key=column.name == "user_id") for column in columns]
    table = check_shape(assumed, MYSQL_VIEW, name)
    return table if _has_key(read, MYSQL.of(table)) else check_shape(columns, MYSQL_VIEW, name)


def _has_key(read: Read, dialect: Dialect) -> bool:
    """Say whether a view has each user_id at most once, as the database itself sees it.

    It does if its rows are those of one table, and if those with one user_id are found by a unique key of that.
    """
    tables = _plan(read, table_plan(dialect))
    # A result that the database makes first, as for DISTINCT or UNION, is called <derived2> or so.
    if len(tables) != 1 or (tables[0][2] or b"<").startswith(b"<"):
        return False
    return any(_is_one_row(_plan(read, one_user_plan(dialect, key))) for key in _SOME_KEYS)


def _is_one_row(plan: list[Any]) -> bool:
    return all(line[-8] == b"const" or b"const table" in (line[-1] or b"") for line in plan)


def _plan(read: Read, query: Query) -> list[Any]:
    """Return a plan's lines without those of subqueries."""
    return [line for line in _rows(read, query) if line[0] == b"1"]


def _columns(read: Read, name: str) -> list[Column]:
    return columns_of(_rows(read, mysql_columns(name)))


def _rows(read: Read, query: Query) -> list[Any]:
    return [row for block in read(query) for row in block]
