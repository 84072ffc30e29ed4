"""Check that the table has the shape the service relies on; one line says what is wrong and how to fix it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from userstream_server.errors import PreconditionError
from userstream_server.rows.table import Table

__all__ = ["Column", "check_shape", "columns_of"]

_TEXT_TYPES = frozenset({"char", "varchar", "tinytext", "text"})
_WHOLE_TYPES = frozenset({"tinyint", "smallint", "mediumint", "int", "integer", "bigint"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the database describes it.

    Attributes:
        name: In lower case.
        type: In lower case, without length, such as `varchar`.
        scale: Digits behind the decimal point.
        nullable: Whether it may be NULL.
        is_key: Whether it alone is the primary key, or a unique key over a column that is not NULL.
        collation: Of text; empty otherwise. For SQLite that of the key's index.
    """

    name: str
    type: str
    scale: int = 0
    nullable: bool = False
    is_key: bool = False
    collation: str = ""


def check_shape(columns: Iterable[Column]) -> Table:
    """Check the columns of `user_data`; return what the queries must know of the table.

    Raises:
        PreconditionError: The table is missing or of another shape; the message says how to fix it.
    """
    found = {column.name: column for column in columns}
    if not found:
        raise PreconditionError(
            "TABLE_MISSING",
            "The table user_data does not exist, or the account may not see it. Create and fill it with"
            " `userstream-server seed` (scripts/seed.py), grant SELECT on it, or name another database in"
            " USERSTREAM_DATABASE_URL.",
        )
    for complaint in _complaints(found):
        raise PreconditionError("TABLE_SHAPE", f"The table user_data does not fit: {complaint}")
    return Table(found["user_id"].collation)


def _complaints(found: dict[str, Column]) -> Iterable[str]:
    for name in ("user_id", "name", "email", "age"):
        column = found.get(name)
        if column is None:
            yield f"it has no column {name}. Add it, as server/userstream_server/seeding/schema.sql does."
        elif column.nullable:
            yield f"{name} may be NULL. ALTER TABLE user_data MODIFY it to NOT NULL."
        elif name != "age" and column.type not in _TEXT_TYPES:
            yield f"{name} is of type {column.type}. It takes text: CHAR or VARCHAR."
        elif name == "age" and column.type != "decimal" and column.type not in _WHOLE_TYPES:
            yield f"age is of type {column.type}. It takes whole years: DECIMAL(10,0) or an integer."
        elif name == "age" and column.scale:
            yield f"age has {column.scale} decimal places. It takes whole years: DECIMAL(10,0)."
    if not found["user_id"].is_key:
        yield "user_id is not its primary key. ALTER TABLE user_data ADD PRIMARY KEY (user_id)."


def columns_of(rows: Iterable[Sequence[bytes]]) -> list[Column]:
    """Read the rows of `sql.MYSQL_COLUMNS` or `sql.SQLITE_COLUMNS`."""
    return [
        Column(
            name=name.decode(),
            type=type_.decode().partition("(")[0].strip(),
            scale=int(scale),
            nullable=nullable == b"YES",
            is_key=is_key == b"1",
            collation=collation.decode(),
        )
        for name, type_, scale, nullable, is_key, collation in rows
    ]
