"""Check that the table has the shape the service relies on; one line says what is wrong and how to fix it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from userstream_server.errors import PreconditionError
from userstream_server.rows.table import KeyType, Table

__all__ = [
    "MYSQL_TABLE",
    "MYSQL_VIEW",
    "SQLITE_TABLE",
    "Column",
    "TableKind",
    "check_shape",
    "columns_of",
    "missing_table",
    "unfit_table",
]

_TEXT_TYPES = frozenset({"char", "varchar", "tinytext", "text"})
_WHOLE_TYPES = frozenset(
    {"decimal", "tinyint", "smallint", "mediumint", "int", "integer", "bigint"}
)
_UUID_TYPES: dict[str, KeyType] = {"binary(16)": "binary", "uuid": "uuid"}
_SCHEMAS = "server/userstream_server/seeding"


@dataclass(frozen=True, slots=True)
class TableKind:
    """What may be asked of a kind of table.

    Attributes:
        fix: How to fix one, with places for its name and the words of an ALTER TABLE if it can be altered.
        uuid_types: Whether user_id may be of another type than text.
        null_keys: Whether user_id may be declared NULL: its NULLs are refused when met.
    """

    fix: str
    uuid_types: bool = True
    null_keys: bool = False


MYSQL_TABLE: Final = TableKind(f"ALTER TABLE {{name}} {{change}}, as in {_SCHEMAS}/schema.sql.")
MYSQL_VIEW: Final = TableKind(
    "It is a view: CREATE OR REPLACE VIEW {name} AS SELECT user_id, name, email and age of one table without a"
    " join, where user_id is a NOT NULL column that alone is the primary or a unique key."
)
SQLITE_TABLE: Final = TableKind(
    f"Create a table as {_SCHEMAS}/schema_sqlite.sql does, and copy the rows. In SQLite a view will not do.",
    uuid_types=False,
    null_keys=True,
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the database describes it.

    Attributes:
        name: In lower case.
        type: In lower case, without length, such as `varchar`; but `binary(16)`.
        scale: Digits behind the decimal point.
        nullable: Whether it may be NULL.
        is_key: Whether it alone is the primary key, or a unique key.
        collation: Of text; empty otherwise. For SQLite that of the key's index.
    """

    name: str
    type: str
    scale: int = 0
    nullable: bool = False
    is_key: bool = False
    collation: str = ""


def check_shape(
    columns: Iterable[Column], kind: TableKind = MYSQL_TABLE, name: str = "user_data"
) -> Table:
    """Check the columns of `user_data`; return what the queries must know of the table.

    Args:
        columns: All its columns; none where there is no such table.
        kind: What it is.
        name: As the database spells it.

    Raises:
        PreconditionError: The table is missing or of another shape; the message says how to fix it.
    """
    found = {column.name: column for column in columns}
    if not found:
        raise missing_table()
    for complaint, change in _complaints(found, kind):
        raise unfit_table(f"{complaint}. {kind.fix.format(name=name, change=change)}")
    user_id = found["user_id"]
    key_type = _UUID_TYPES.get(user_id.type, "text")
    collation = {"text": user_id.collation, "binary": "binary", "uuid": "uuid"}[key_type]
    return Table(collation, name, key_type, is_view=kind is MYSQL_VIEW)


def missing_table() -> PreconditionError:
    """Return the error for a table that is not there."""
    return PreconditionError(
        "TABLE_MISSING",
        "The table user_data does not exist, or the account may not see it. Create and fill it with"
        " `userstream-server seed` (scripts/seed.py), grant SELECT on it, or name another database in"
        " USERSTREAM_DATABASE_URL.",
    )


def unfit_table(complaint: str) -> PreconditionError:
    """Return the error for a table of another shape."""
    return PreconditionError("TABLE_SHAPE", f"The table user_data does not fit: {complaint}")


def _complaints(found: dict[str, Column], kind: TableKind) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, and what an ALTER TABLE would have to do about it."""
    for name in ("user_id", "name", "email", "age"):
        column = found.get(name)
        if column is None:
            yield f"it has no column {name}, or the account may not see it", f"ADD COLUMN {name} …"
        elif complaint := _of_type(column, kind):
            yield complaint, f"MODIFY {name} …"
    user_id = found["user_id"]
    if user_id.nullable and not kind.null_keys:
        yield "user_id may be NULL", "MODIFY user_id … NOT NULL"
    if not user_id.is_key:
        yield "user_id is not its primary key", "ADD PRIMARY KEY (user_id)"


def _of_type(column: Column, kind: TableKind) -> str:
    """Say what is wrong with a column's type; nothing if it fits."""
    name, found = column.name, column.type
    if name == "age":
        return _of_age(column)
    if found in _TEXT_TYPES or (name == "user_id" and kind.uuid_types and found in _UUID_TYPES):
        return ""
    if name == "user_id" and kind.uuid_types:
        return f"user_id is of type {found}. It takes CHAR, VARCHAR, or UUIDs in BINARY(16) or UUID"
    return f"{name} is of type {found}. It takes text: CHAR or VARCHAR"


def _of_age(column: Column) -> str:
    if column.type not in _WHOLE_TYPES:
        return f"age is of type {column.type}. It takes whole years: DECIMAL(10,0) or an integer"
    if column.scale:
        return f"age has {column.scale} decimal places. It takes whole years: DECIMAL(10,0)"
    return ""


def columns_of(rows: Iterable[Sequence[bytes]]) -> list[Column]:
    """Read the rows of `table_queries.mysql_columns` or `table_queries.SQLITE_COLUMNS`."""
    return [
        Column(
            name=name.decode(),
            type=_type_of(type_.decode()),
            scale=int(scale),
            nullable=nullable == b"YES",
            is_key=is_key == b"1",
            collation=collation.decode(),
        )
        for name, type_, scale, nullable, is_key, collation in rows
    ]


def _type_of(text: str) -> str:
    return text if text in _UUID_TYPES else text.partition("(")[0].strip()
