"""Progress on real databases: near the truth from a tenth of the way on, never falling, never at its end too early."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rpc import average_age
from userstream_server.seeding.seed import seed_synthetic
from userstream_server.seeding.synthetic import KEY_KINDS
from userstream_testing.admin import execute
from userstream_testing.calls import stub_for
from userstream_testing.in_process import served

ROWS = 40_000
FILTERS = {
    "everyone": pb.UserFilter(),
    "half": pb.UserFilter(age_over=60),
    "a quarter": pb.UserFilter(email_domain="example.org"),
    "a fortieth": pb.UserFilter(name_prefix="Zoë"),
}


@pytest.fixture(scope="module", params=KEY_KINDS)
def target(request: pytest.FixtureRequest, mysql_url: str) -> Iterator[str]:
    """Yield the address of a server over 40,000 users with keys of one kind, once it has a map of them."""
    name = "userstream_test_progress"
    url = f"{mysql_url}/{name}"
    execute(mysql_url, f"DROP DATABASE IF EXISTS {name}")
    seed_synthetic(DatabaseUrl.parse(url), ROWS, key_kind=request.param)
    with served(url) as address, stub_for(address) as stub:
        wait_for_map(stub)
        yield address
    execute(mysql_url, f"DROP DATABASE {name}")


def wait_for_map(stub: Any) -> None:
    """Read until a scan's progress is known before its end."""
    ends_at = time.monotonic() + 30
    while not any(m.progress.estimated_users for m in messages(stub, limit=5000)[:-1]):
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def messages(stub: Any, **fields: Any) -> list[Any]:
    request = pb.StreamUsersRequest(max_users_per_message=100, **fields)
    return list(stub.StreamUsers(request))


def check(progress: list[pb.StreamProgress], total: int) -> None:
    """Check a scan's progress, the last message's included."""
    *before, last = progress
    fractions = [p.fraction for p in before]

    assert (total, total, 1.0) == (last.users_sent, last.estimated_users, last.fraction)
    assert fractions == sorted(fractions)
    assert all(p.fraction < 1 for p in before)
    assert all(p.estimated_users > p.users_sent for p in before if p.estimated_users)
    for p in before:
        if p.users_sent >= max(total / 10, 500):
            assert 0.9 < p.estimated_users / total < 1.1, p.users_sent / total
            assert abs(p.fraction - p.users_sent / total) < 0.1


@pytest.mark.parametrize("wanted", FILTERS)
def test_stream_users(target: str, wanted: str) -> None:
    """With and without filters."""
    with stub_for(target) as stub:
        found = messages(stub, filter=FILTERS[wanted])

    check([m.progress for m in found], found[-1].receipt.user_count)


def test_over_resumes(target: str) -> None:
    """A scan that is resumed again and again goes on where its progress was."""
    progress: list[pb.StreamProgress] = []
    token = ""
    with stub_for(target) as stub:
        while not progress or progress[-1].fraction < 1:
            request = pb.StreamUsersRequest(max_users_per_message=100, resume_token=token)
            call = stub.StreamUsers(request)
            for message, _ in zip(call, range(70), strict=False):
                progress.append(message.progress)
                token = message.resume_token
            call.cancel()

    check(progress, ROWS)


def test_partitions_and_limits(target: str) -> None:
    """Each partition's progress is its own, and a limit is known from the start."""
    with stub_for(target) as stub:
        found = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=4)).partitions
        for part in found:
            progress = [m.progress for m in messages(stub, partition=part.partition)]
            check(progress, part.estimated_users)
        check([m.progress for m in messages(stub, limit=7_000)], 7_000)


def test_average_age(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running averages have the same progress."""
    monkeypatch.setattr(average_age, "_RANGE_USERS", 1_000)
    monkeypatch.setattr(average_age, "_INTERVAL_SECONDS", 0.0)
    with stub_for(target) as stub:
        found = list(stub.StreamAverageAge(pb.StreamAverageAgeRequest(filter=FILTERS["half"])))

    check([m.progress for m in found], found[-1].user_count)


OTHERS = {
    "a view": [
        "RENAME TABLE user_data TO people",
        "CREATE VIEW user_data AS SELECT * FROM people",
    ],
    "BINARY(16)": [
        "RENAME TABLE user_data TO people",
        "CREATE TABLE user_data (user_id BINARY(16) NOT NULL PRIMARY KEY, name CHAR(255), email CHAR(255), age INT)",
        "INSERT INTO user_data SELECT UNHEX(REPLACE(user_id, '-', '')), name, email, age FROM people",
        "ANALYZE TABLE user_data",
    ],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_tables(mysql_database: str, kind: str) -> None:
    """A view's keys are mapped by those of the table below, and ids in bytes by their text."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), ROWS)
    execute(mysql_database, *OTHERS[kind])
    with served(mysql_database) as address, stub_for(address) as stub:
        wait_for_map(stub)
        check([m.progress for m in messages(stub)], ROWS)


def test_sqlite(tmp_path: Path) -> None:
    """SQLite counts its ranges, and the progress is as near."""
    url = f"sqlite:///{tmp_path}/users.db"
    seed_synthetic(DatabaseUrl.parse(url), 9_000)
    with served(url) as address, stub_for(address) as stub:
        wait_for_map(stub)
        check([m.progress for m in messages(stub)], 9_000)
