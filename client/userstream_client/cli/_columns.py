"""The columns that a command shows or writes: all fields of a user, or those of `--fields`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from userstream_client.cli._formats import Row
from userstream_client.cli._problems import UsageProblem
from userstream_client.models import User

__all__ = ["ALL_COLUMNS", "Columns", "columns_from"]

_UNREAD = User("", "", "", 0)


@dataclass(frozen=True, slots=True)
class Columns:
    """Some columns of a user.

    Attributes:
        names: In the order of `User`, user_id first.
    """

    names: tuple[str, ...] = User._fields

    @property
    def fields(self) -> tuple[str, ...]:
        """What to ask the server for; empty for all fields."""
        return () if self == ALL_COLUMNS else self.names

    def rows(self, users: list[User]) -> Sequence[Row]:
        """Return users as rows with these columns."""
        if self == ALL_COLUMNS:
            return users
        places = [User._fields.index(name) for name in self.names]
        return [[user[place] for place in places] for user in users]

    def only(self, users: list[User]) -> list[User]:
        """Return users without the values of other columns, which an older server sends all the same."""
        if self == ALL_COLUMNS:
            return users
        return [self.user(row) for row in self.rows(users)]

    def user(self, row: Sequence[Any]) -> User:
        """Return the user of a row with these columns; the other fields are empty.

        Raises:
            ValueError: The row has another number of columns.
        """
        if self == ALL_COLUMNS:
            return User._make(row)
        return _UNREAD._replace(**dict(zip(self.names, row, strict=True)))


ALL_COLUMNS = Columns()


def columns_from(text: str) -> Columns:
    """Return the columns of `--fields`; all for an empty text.

    Args:
        text: Names of fields with commas between, in any order.

    Raises:
        UsageProblem: It names something that a user does not have.
    """
    wanted = {name.strip() for name in text.split(",")} - {""}
    if not wanted <= {*User._fields}:
        raise UsageProblem(f"--fields takes names with commas between: {', '.join(User._fields)}")
    if not wanted:
        return ALL_COLUMNS
    return Columns(tuple(name for name in User._fields if name in wanted | {"user_id"}))
