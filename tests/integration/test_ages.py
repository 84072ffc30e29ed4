"""The running average, broken after every message and resumed, over real databases."""

from collections.abc import Iterator
from itertools import islice, pairwise

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.database import Database
from userstream_server.rows.generators import Users
from userstream_server.rows.types import UserRow
from userstream_server.rpc import average_age
from userstream_server.rpc.progress import ScanProgress
from userstream_server.rpc.validation import check_stream_average_age
from userstream_testing.admin import open_url


@pytest.fixture
def database(shared_url: str) -> Iterator[Database]:
    """Yield the seeded database."""
    opened = open_url(shared_url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have figures sent for every 37 users, whatever the clock says."""
    monkeypatch.setattr(average_age, "_RANGE_USERS", 37)
    monkeypatch.setattr(average_age, "_INTERVAL_SECONDS", 0.0)


def figures(database: Database, token: str = "") -> Iterator[pb.StreamAverageAgeResponse]:
    """Yield running figures from a token on, with a session of their own as each call has."""
    plan = check_stream_average_age(pb.StreamAverageAgeRequest(resume_token=token))
    with database.session() as session:
        yield from average_age.running_average(
            Users(session), plan, ScanProgress(lambda: None, plan.scan, plan.position)
        )


def test_broken_behind_every_message(database: Database, users: list[UserRow]) -> None:
    """Wherever it breaks, the token's sum and count make the rest's figures those of the whole, to the unit."""
    whole = list(figures(database))
    total = (len(users), sum(user.age for user in users))

    assert len(whole) > 30
    for after in range(1, len(whole)):
        (last,) = islice(figures(database), after - 1, after)
        rest = list(figures(database, last.resume_token))
        steps = [last, *rest]

        assert total == (rest[-1].user_count, rest[-1].age_sum)
        assert [37] * (len(rest) - 1) == [b.user_count - a.user_count for a, b in pairwise(steps)][
            :-1
        ]
        assert all(a.progress.fraction <= b.progress.fraction for a, b in pairwise(steps))
        assert [step.final for step in steps] == [False] * len(rest) + [True]


def test_broken_behind_each_message_once(database: Database, users: list[UserRow]) -> None:
    """A scan of which each attempt brings one message only comes to the same figures."""
    token, attempts = "", 0
    while not (step := next(figures(database, token))).final:
        token, attempts = step.resume_token, attempts + 1

    assert attempts == len(users) // 37
    assert (len(users), sum(user.age for user in users)) == (step.user_count, step.age_sum)
