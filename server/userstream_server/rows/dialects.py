"""The words of SQL in which MySQL and SQLite differ, and those that depend on the table's collation."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from userstream_server.rows.table import Table

__all__ = ["MYSQL", "SQLITE", "Dialect", "escape_like"]


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
        key: The key, as it is compared and ordered.
        key_value: A parameter, as it is compared with another one in the key's order.
        unchanged: Condition that holds while the key's collation is still the one of `for_table`.
    """

    mark: str
    text: str
    number: str
    name_prefix: str
    prefix_value: Callable[[str], str]
    email_domain: str
    for_table: "Callable[[Dialect, Table], Dialect]"
    key: str = "user_id"
    key_value: str = ""
    unchanged: str = ""

    def of(self, table: Table) -> "Dialect":
        """Return this dialect for a table."""
        return self.for_table(self, table)


def escape_like(text: str) -> str:
    """Make a text stand for itself in a LIKE pattern whose escape character is "!"."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _mysql_of(dialect: Dialect, table: Table) -> Dialect:
    collation = _collation_name(table)
    character_set = collation.partition("_")[0]
    return replace(
        dialect,
        key_value=f"CONVERT(%s USING {character_set}) COLLATE {collation}",
        # Evaluated once a query, by one look at the index.
        unchanged=f"(SELECT COLLATION(MAX(user_id)) FROM user_data) = '{collation}'",
    )


def _sqlite_of(dialect: Dialect, table: Table) -> Dialect:
    # A column and its index may differ in collation here, so the index's is always spelled out.
    collation = _collation_name(table)
    return replace(dialect, key=f"user_id COLLATE {collation}", key_value=f"? COLLATE {collation}")


def _collation_name(table: Table) -> str:
    if not re.fullmatch("[A-Za-z0-9_]+", table.collation):
        raise ValueError("a collation's name has letters, digits and underscores only")
    return table.collation


# A binary collation compares exactly; LIKE, unlike "=", does not ignore trailing spaces.
MYSQL: Final = Dialect(
    mark="%s",
    text="{}",
    number="{}",
    name_prefix="name LIKE %s COLLATE utf8mb4_bin ESCAPE '!'",
    prefix_value=lambda prefix: escape_like(prefix) + "%",
    email_domain="LOWER(email) LIKE %s COLLATE utf8mb4_bin ESCAPE '!'",
    for_table=_mysql_of,
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
    key_value="?",
)
