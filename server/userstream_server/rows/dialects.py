"""The words of SQL in which MySQL and SQLite differ, and those that depend on the table."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from userstream_server.rows.table import Table

__all__ = ["MYSQL", "SQLITE", "Dialect", "escape_like", "plain_name"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words in which the databases differ.

    Attributes:
        mark: The parameter mark.
        text: Pattern that hands out a text column.
        number: Pattern that hands out a column's or an expression's digits as text.
        name_prefix: Condition with one parameter, which `prefix_value` makes of the prefix.
        prefix_value: See `name_prefix`.
        email_domain: Condition with one parameter, a LIKE pattern in lower case.
        for_table: Returns the same dialect for what the database says of the table.
        table: The table's name.
        user_id: The key, as it is sent.
        key: The key, as it is compared and ordered.
        key_mark: A parameter, as it is compared with the key.
        key_value: A parameter, as it is compared with another one in the key's order.
        unchanged: Condition that holds while the key's collation is still the one of `for_table`.
        converts_key: Whether `user_id` is right for that collation only.
        may_filter: Whether the table itself may leave out rows, as the condition of a view does.
    """

    mark: str
    text: str
    number: str
    name_prefix: str
    prefix_value: Callable[[str], str]
    email_domain: str
    for_table: "Callable[[Dialect, Table], Dialect]"
    table: str = "user_data"
    user_id: str = "user_id"
    key: str = "user_id"
    key_mark: str = ""
    key_value: str = ""
    unchanged: str = ""
    converts_key: bool = False
    may_filter: bool = False

    def of(self, table: Table) -> "Dialect":
        """Return this dialect for a table."""
        return self.for_table(self, table)


def escape_like(text: str) -> str:
    """Make a text stand for itself in a LIKE pattern whose escape character is "!"."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def plain_name(name: str) -> str:
    """Return a table's or a collation's name, which comes from the database and stands in SQL as it is.

    Raises:
        ValueError: It has other characters than letters, digits and underscores.
    """
    if not re.fullmatch("[A-Za-z0-9_]+", name):
        raise ValueError("a name has letters, digits and underscores only")
    return name


def _mysql_of(dialect: Dialect, table: Table) -> Dialect:
    name, collation = plain_name(table.name), plain_name(table.collation)
    dialect = replace(dialect, table=name, may_filter=table.is_view)
    if table.key_type == "uuid":
        # No condition would tell this type from a text in latin1.
        return replace(dialect, key_value="CAST(%s AS UUID)")
    # Evaluated once a query, by one look at the index. A view may keep MAX from using it, but its collation is known
    # without any row.
    no_row = " WHERE FALSE" if table.is_view else ""
    dialect = replace(
        dialect, unchanged=f"(SELECT COLLATION(MAX(user_id)) FROM {name}{no_row}) = '{collation}'"
    )
    if table.converts_key:
        value = "UNHEX(REPLACE(%s, '-', ''))"
        return replace(
            dialect, user_id=_UUID_OF_BYTES, key_mark=value, key_value=value, converts_key=True
        )
    character_set = collation.partition("_")[0]
    return replace(dialect, key_value=f"CONVERT(%s USING {character_set}) COLLATE {collation}")


def _sqlite_of(dialect: Dialect, table: Table) -> Dialect:
    # A column and its index may differ in collation here, so the index's is always spelled out.
    collation = plain_name(table.collation)
    return replace(dialect, key=f"user_id COLLATE {collation}", key_value=f"? COLLATE {collation}")


# MySQL's BIN_TO_UUID() would do, but MariaDB has none.
_UUID_OF_BYTES: Final = (
    "INSERT(INSERT(INSERT(INSERT(LOWER(HEX(user_id)), 21, 0, '-'), 17, 0, '-'), 13, 0, '-'),"
    " 9, 0, '-')"
)

# A binary collation compares exactly; LIKE, unlike "=", does not ignore trailing spaces.
MYSQL: Final = Dialect(
    mark="%s",
    text="{}",
    number="{}",
    name_prefix="name LIKE %s COLLATE utf8mb4_bin ESCAPE '!'",
    prefix_value=lambda prefix: escape_like(prefix) + "%",
    email_domain="LOWER(email) LIKE %s COLLATE utf8mb4_bin ESCAPE '!'",
    for_table=_mysql_of,
    key_mark="%s",
    key_value="%s",
)
# SQLite's LIKE ignores case, its instr() does not. Its columns take values of any type: what is of another is NULL
# here, which is refused on its way.
SQLITE: Final = Dialect(
    mark="?",
    text="CASE typeof({0}) WHEN 'text' THEN {0} END",
    number="CASE typeof({0}) WHEN 'integer' THEN CAST({0} AS TEXT) END",
    name_prefix="instr(name, ?) = 1",
    prefix_value=str,
    email_domain="email LIKE ? ESCAPE '!'",
    for_table=_sqlite_of,
    user_id="CASE typeof(user_id) WHEN 'text' THEN user_id END",
    key_mark="?",
    key_value="?",
)
