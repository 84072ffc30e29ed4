"""A database host that fails while it is read: what was not sent yet is read again, once and whole."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from userstream_server.call_stats import begin_call_stats
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import UnavailableError
from userstream_server.rows.batches import EncodeUsers, ExactSize, GrowingSize
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session
from userstream_server.rows.types import UserRow
from userstream_server.rpc import average_age
from userstream_server.seeding.seed import seed_users
from userstream_testing.admin import open_url

LOST = UnavailableError("DATABASE_UNAVAILABLE", "lost")


class Frail:
    """A session whose queries fail before, while or after they yield rows, each time differently.

    Args:
        session: Reads in truth.
        moves: How many times another host takes over.
    """

    def __init__(self, session: Session, moves: int) -> None:
        self._session = session
        self._left = moves
        self._fails = True
        self.moves = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def blocks(self, *arguments: Any) -> Generator[Any]:
        return self._failing(self._session.blocks(*arguments))

    def encoded(self, *arguments: Any) -> Generator[Any]:
        return self._failing(self._session.encoded(*arguments))

    def counted(self, *arguments: Any) -> Generator[Any]:
        return self._failing(self._session.counted(*arguments))

    def move_on(self, error: UnavailableError) -> None:
        if not self._left:
            raise error
        self._left -= 1
        self.moves += 1
        self._fails = self._left > 0

    def _failing(self, rows: Generator[Any]) -> Generator[Any]:
        # After no block, after one, after two, then after the last.
        blocks_left = self.moves % 4
        for block in rows:
            if self._fails and blocks_left == 0:
                rows.close()
                raise LOST
            blocks_left -= 1
            yield block
        if self._fails:
            raise LOST


@pytest.fixture
def frail(users: list[UserRow], tmp_path: Path) -> Iterator[Callable[[int], Frail]]:
    """Yield what makes a session over `users` that moves so many times."""
    url = f"sqlite:///{tmp_path}/users.db"
    seed_users(DatabaseUrl.parse(url), users)
    database = open_url(url)
    with database.session() as session:
        yield lambda moves: Frail(session, moves)
    database.close()


SIZES = ChunkSizes(first_rows=100, max_rows=300)


def test_streams(frail: Callable[[int], Frail], users: list[UserRow]) -> None:
    """Every user comes once and in order, and the checksum is that of these users."""
    session: Any = frail(9)
    reader = EncodeUsers(GrowingSize(message_bytes=1 << 16, max_users=7))
    batches = list(Users(session, SIZES).stream_users(Scan(), reader))
    ids = "".join(user.user_id for user in users).encode()

    assert session.moves == 9
    assert len(users) == sum(batch.user_count for batch in batches)
    assert crc32(ids) == batches[-1].user_id_crc32
    assert users[-1].user_id.encode() == batches[-1].last_user_id


def test_rows_one_by_one(frail: Callable[[int], Frail], users: list[UserRow]) -> None:
    """So it is for Python callers."""
    session: Any = frail(5)

    assert users == list(Users(session, SIZES).stream_users())


def test_batches_and_pages(frail: Callable[[int], Frail], users: list[UserRow]) -> None:
    """Batches and pages keep their sizes."""
    session: Any = frail(5)
    batches = list(Users(session, SIZES).batch_processing(50, Scan(), EncodeUsers(ExactSize(50))))
    paged: Any = frail(5)
    pages = list(Users(paged).lazy_paginate(100))

    assert [50] * 24 + [34] == [batch.user_count for batch in batches]
    assert users == [user for page in pages for user in page.users]


def test_lookups(frail: Callable[[int], Frail], users: list[UserRow]) -> None:
    """Users that were read twice are found once, and the ids that nobody has are still missing."""
    session: Any = frail(5)
    ids = [users[n].user_id for n in (3, 1, 700)]
    found = Users(session).encoded_by_id([*ids, "nobody"], ("user_id", "age"))

    assert session.moves == 5
    assert set(ids) == found.keys()


def test_averages(frail: Callable[[int], Frail], users: list[UserRow]) -> None:
    """Ages that were counted twice count once, in the answer and in the call's stats."""
    session: Any = frail(3)
    stats = begin_call_stats("AverageAge")
    found = average_age.average(Users(session), Scan(), histogram=False)

    assert (len(users), sum(user.age for user in users)) == (found.user_count, found.age_sum)
    assert len(users) == stats.rows


def test_without_another_host(frail: Callable[[int], Frail]) -> None:
    """The error stands."""
    session: Any = frail(0)
    with pytest.raises(UnavailableError) as caught:
        list(Users(session, SIZES).stream_users())

    assert caught.value is LOST
