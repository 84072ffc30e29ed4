"""What key ranges hold, asked of real databases."""

from collections.abc import Iterator

import pytest
from userstream_server.databases.database import Database
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.key_ranges import KeyRanges
from userstream_server.rows.session import Session
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_testing.admin import open_url

BEFORE_ALL, BEHIND_ALL = " ", "~"


@pytest.fixture
def session(shared_url: str) -> Iterator[Session]:
    """Yield a session over the seeded database."""
    database: Database = open_url(shared_url)
    with database.session() as opened:
        yield opened
    database.close()


def test_keys_at_either_end(session: Session, users: list[UserRow]) -> None:
    """The first and the last eight, ascending."""
    keys = [user.user_id for user in users]

    assert [*keys[:8], *keys[-8:]] == KeyRanges(session).some_keys()


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 64, 100])
def test_ends_of_ranges(session: Session, users: list[UserRow], count: int) -> None:
    """The first and last key of each range, however many are asked for: above its bound, up to and with the other."""
    keys = [user.user_id for user in users]
    ranges = [(keys[3 * n], keys[3 * n + 3]) for n in range(count)]
    found = KeyRanges(session).ends(ranges)

    assert [(keys[3 * n + 1], keys[3 * n + 3]) for n in range(count)] == found


def test_ends_of_open_and_empty_ranges(session: Session, users: list[UserRow]) -> None:
    """Bounds need not be keys; a range without rows has no ends, and does not move the others'."""
    keys = [user.user_id for user in users]
    ranges = [
        (keys[-1], BEHIND_ALL),
        (BEFORE_ALL, keys[0]),
        (keys[5], keys[5]),
        (BEFORE_ALL, BEHIND_ALL),
    ]

    assert [None, (keys[0], keys[0]), None, (keys[0], keys[-1])] == KeyRanges(session).ends(ranges)


@pytest.mark.parametrize("count", [0, 1, 32, 33, 70])
def test_estimates_of_small_ranges(session: Session, users: list[UserRow], count: int) -> None:
    """They are exact for a few rows, one for each range, in the order that was asked for."""
    keys = [user.user_id for user in users]
    sizes = [2 + n % 5 for n in range(count)]
    ranges = [(keys[7 * n], keys[7 * n + size]) for n, size in enumerate(sizes)]

    assert sizes == KeyRanges(session).estimates(ranges)


def test_an_empty_table(database_url: str) -> None:
    """No keys, and no ends."""
    seed_users(DatabaseUrl.parse(database_url), [])
    database = open_url(database_url)
    with database.session() as session:
        assert [] == KeyRanges(session).some_keys()
        assert [None] == KeyRanges(session).ends([(BEFORE_ALL, BEHIND_ALL)])
    database.close()
