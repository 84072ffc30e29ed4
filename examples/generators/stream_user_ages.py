"""The average age, from a generator: no list of ages, and no AVG() in SQL."""

from collections.abc import Generator
from contextlib import closing

from seed import connect_to_prodev


def stream_user_ages() -> Generator[int]:
    """Yield the age of each user."""
    with closing(connect_to_prodev()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT age FROM user_data")
        for (age,) in cursor:
            yield int(age)


def average_age() -> float:
    """Return the average of all ages, 0 for an empty table."""
    total = count = 0
    for age in stream_user_ages():
        total += age
        count += 1
    return total / count if count else 0.0


if __name__ == "__main__":
    print(f"Average age of users: {average_age():.2f}")
