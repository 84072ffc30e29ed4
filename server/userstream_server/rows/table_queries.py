"""SQL that describes the table: its columns, its name, and whether a view has each user_id once.

The only words that come from the database are the table's name and its collation, which have letters,
digits and underscores only.
"""

from typing import Final

from userstream_server.rows.dialects import Dialect, plain_name
from userstream_server.rows.sql import Query

__all__ = [
    "MYSQL_EXPLAIN",
    "MYSQL_NAMES",
    "SQLITE_COLUMNS",
    "mysql_columns",
    "one_user_plan",
    "table_plan",
]

MYSQL_EXPLAIN: Final = "EXPLAIN /*M! EXTENDED */ /*!80000 FORMAT=TRADITIONAL */ "
"""Goes before a SELECT. Each database reads its own comment as a word: MariaDB the first, MySQL the second.

Rows then have id, select_type and table first, and end with type, possible_keys, key, key_len, ref, rows,
filtered (in per cent) and Extra.
"""

MYSQL_NAMES: Final = Query(
    "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA = DATABASE() AND LOWER(TABLE_NAME) = 'user_data' ORDER BY TABLE_NAME",
    columns=2,
)
"""Lists the tables and views that are called user_data, in upper or lower case, each with what it is."""

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
"""The same for SQLite's user_data as `mysql_columns` for MySQL's."""


def mysql_columns(table: str = "user_data") -> Query:
    """Describe a table's columns.

    Rows have name, type, scale, nullable (YES or NO), whether the column alone is a unique key, and collation. The type
    has a length only where it is BINARY.
    """
    # A key counts when it is unique, over user_id alone, and over all of it. Only constants tell which table is meant:
    # MariaDB opens every table of the server otherwise.
    name = plain_name(table)
    return Query(
        "SELECT LOWER(c.COLUMN_NAME),"
        " LOWER(CASE c.DATA_TYPE WHEN 'binary' THEN c.COLUMN_TYPE ELSE c.DATA_TYPE END),"
        " COALESCE(c.NUMERIC_SCALE, 0), c.IS_NULLABLE,"
        " EXISTS (SELECT 1 FROM information_schema.STATISTICS s WHERE s.TABLE_SCHEMA = DATABASE()"
        f" AND s.TABLE_NAME = '{name}' AND s.NON_UNIQUE = 0"
        " GROUP BY s.INDEX_NAME HAVING COUNT(*) = 1 AND MAX(s.COLUMN_NAME) = c.COLUMN_NAME"
        " AND MAX(s.SUB_PART) IS NULL), COALESCE(c.COLLATION_NAME, '')"
        " FROM information_schema.COLUMNS c"
        f" WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = '{name}'",
        columns=6,
    )


def table_plan(dialect: Dialect) -> Query:
    """Ask how the whole table would be read."""
    return Query(f"{MYSQL_EXPLAIN}SELECT 1 FROM {dialect.table}", columns=12)


def one_user_plan(dialect: Dialect, user_id: str) -> Query:
    """Ask how the users with one user_id would be read."""
    condition = f"{dialect.key} = {dialect.key_mark}"
    return Query(
        f"{MYSQL_EXPLAIN}SELECT 1 FROM {dialect.table} WHERE {condition}", (user_id,), columns=12
    )
