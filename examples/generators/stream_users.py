"""Users one by one: a generator that yields each row as it comes from the database."""

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import Any

from seed import connect_to_prodev


def stream_users() -> Generator[dict[str, Any]]:
    """Yield every user as a dictionary; only one row is in Python's memory at a time."""
    with closing(connect_to_prodev()) as connection:
        cursor = connection.cursor(dictionary=True)
        cursor.execute("SELECT user_id, name, email, age FROM user_data")
        yield from cursor


if __name__ == "__main__":
    with closing(stream_users()) as users:
        for user in islice(users, 6):
            print(user)
