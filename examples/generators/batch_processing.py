"""Users in batches: a generator over lists, and one that filters what the first yields."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

from seed import connect_to_prodev


def stream_users_in_batches(batch_size: int) -> Generator[list[dict[str, Any]]]:
    """Yield lists of `batch_size` users; only the last may be shorter."""
    with closing(connect_to_prodev()) as connection:
        cursor = connection.cursor(dictionary=True)
        cursor.execute("SELECT user_id, name, email, age FROM user_data")
        while batch := cursor.fetchmany(batch_size):
            yield batch


def batch_processing(batch_size: int) -> Generator[dict[str, Any]]:
    """Yield the users over 25, read in batches."""
    for batch in stream_users_in_batches(batch_size):
        yield from (user for user in batch if user["age"] > 25)


if __name__ == "__main__":
    for user in batch_processing(50):
        print(user)
