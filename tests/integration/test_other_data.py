"""The database is killed under a scan and comes back with another data set at the same address."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from userstream_client import Consistency, UserStreamClient, UserStreamError
from userstream_server.errors import ConflictError, PreconditionError, UnavailableError
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_testing.admin import execute, open_url
from userstream_testing.client_runs import PATIENT
from userstream_testing.in_process import served
from userstream_testing.mysql_server import PrivateServer

pytestmark = pytest.mark.slow

CHUNKS = ChunkSizes(first_rows=7, max_rows=7)
IDS = [f"{case}{n:03}" for case in "Aa" for n in range(1000)]
STAYED = [user_id for user_id in IDS if user_id.endswith("3")]
NEW = [f"{user_id}x" for user_id in IDS if user_id.endswith("5")]


@pytest.fixture(scope="module")
def mysql() -> Iterator[PrivateServer]:
    """Yield a database server that may be killed."""
    engine = os.environ.get("USERSTREAM_TEST_ENGINE", "mysql")
    with PrivateServer("mariadb" if engine == "mariadb" else "mysql") as server:
        yield server


def fill(mysql: PrivateServer, user_ids: list[str], collation: str = "latin1_bin") -> str:
    """Make the database with these users; return its URL."""
    url = f"{mysql.url}/other_data"
    values = ", ".join(f"('{user_id}', 'n', 'e', 30)" for user_id in user_ids)
    execute(mysql.url, "DROP DATABASE IF EXISTS other_data", "CREATE DATABASE other_data")
    execute(
        url,
        f"CREATE TABLE user_data (user_id VARCHAR(9) CHARACTER SET latin1 COLLATE {collation} NOT NULL PRIMARY KEY,"
        " name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, age INT NOT NULL)",
        f"INSERT INTO user_data VALUES {values}",
    )
    return url


def restart(mysql: PrivateServer, *data: Any) -> None:
    """Kill the server and start it again with these data instead, none for no database."""
    mysql.restart_empty()
    if data:
        fill(mysql, *data)


def read(url: str, change: Callable[[], None], *, snapshot: bool = False) -> list[str]:
    """Read everybody in chunks of seven; run the change behind the second one, and resume when a connection is lost."""
    found: list[str] = []
    with closing(open_url(url)) as database:
        while True:
            scan = Scan(after=found[-1] if found else None)
            with (
                suppress(UnavailableError),
                database.session(snapshot=snapshot) as session,
            ):
                for user in Users(session, CHUNKS).stream_users(scan):
                    found.append(user.user_id)
                    if len(found) == 14:
                        change()
                return found


def test_no_data(mysql: PrivateServer) -> None:
    """Without the database no scan ends well."""
    url = fill(mysql, IDS)
    with pytest.raises(PreconditionError) as caught:
        read(url, lambda: restart(mysql))

    assert caught.value.reason == "TABLE_MISSING"


def test_another_order(mysql: PrivateServer) -> None:
    """Data in another order end the scan."""
    url = fill(mysql, IDS)
    with pytest.raises(ConflictError) as caught:
        read(url, lambda: restart(mysql, STAYED, "latin1_general_cs"))

    assert caught.value.reason == "TABLE_CHANGED"


@pytest.mark.parametrize("snapshot", [False, True], ids=["live", "snapshot"])
def test_other_rows(mysql: PrivateServer, snapshot: bool) -> None:  # noqa: FBT001
    """A resume goes on over the other rows: each one that both data sets have comes once."""
    url = fill(mysql, IDS)
    other = sorted([*STAYED, *NEW])
    found = read(url, lambda: restart(mysql, other), snapshot=snapshot)

    assert [*IDS[:14], *(i for i in other if i > IDS[13])] == found


@pytest.mark.parametrize("consistency", list(Consistency))
def test_the_client_resumes(mysql: PrivateServer, consistency: Consistency) -> None:
    """It resumes over the other data by itself: no row of both is missing, and the receipt counts the new view."""
    url = fill(mysql, IDS)
    found: list[str] = []
    with (
        served(url, health_poll_seconds=600, chunk_rows_max=250) as target,
        UserStreamClient(target, resume=PATIENT) as client,
    ):
        stream = client.stream_users(max_users_per_message=1, consistency=consistency)
        for user in stream:
            found.append(user.user_id)
            if len(found) == 14:
                restart(mysql, sorted([*STAYED, *NEW]))
    assert stream.receipt is not None

    assert len(found) == len(set(found)) == stream.receipt.user_count
    assert set(STAYED) <= set(found)
    assert consistency is Consistency.LIVE or stream.receipt.resumed_count > 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [((), "TABLE_MISSING"), ((STAYED, "latin1_general_cs"), "KEY_ORDER_CHANGED")],
    ids=["no data", "another order"],
)
def test_the_client_raises(mysql: PrivateServer, data: tuple[Any, ...], reason: str) -> None:
    """Where the table is gone, or its order is another one, the stream ends with an error."""
    url = fill(mysql, IDS)
    with (
        served(url, health_poll_seconds=600, chunk_rows_max=250) as target,
        UserStreamClient(target, resume=PATIENT) as client,
    ):
        stream = client.stream_users(max_users_per_message=1)
        for _ in range(14):
            next(stream)
        restart(mysql, *data)
        with pytest.raises(UserStreamError) as caught:
            list(stream)

    assert reason == caught.value.reason
