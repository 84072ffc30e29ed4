"""HAProxy before two database hosts: a stream survives the loss of the one that it reads from."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from userstream_client import Freshness, UserStreamClient
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import execute
from userstream_testing.balancers import Backend, DatabaseHaproxy
from userstream_testing.debian_packages import PackageNotFoundError
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.server_process import serving

ACCOUNT = ("tester", "a-password-of-both")
NAME, ROWS = "userstream_proxied", 20_000
READING = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE db = '{NAME}'"


@pytest.fixture
def hosts() -> Iterator[list[PrivateServer]]:
    """Yield two MySQLs with the same users."""
    with ExitStack() as stack:
        both = [stack.enter_context(PrivateServer(account=ACCOUNT)) for _ in range(2)]
        for host in both:
            seed_synthetic(DatabaseUrl.parse(f"{host.url}/{NAME}"), ROWS)
        yield both


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [PrivateServer.kill, pytest.param(PrivateServer.pause, marks=pytest.mark.long)]
)
def test_a_stream_survives(
    hosts: list[PrivateServer], fault: Callable[[PrivateServer], None], tmp_path: Path
) -> None:
    """A query that breaks ends it, and it resumes at the other host. Nothing is known of how fresh that one is."""
    try:
        balancer = DatabaseHaproxy([Backend(host.port, host.port) for host in hosts], tmp_path)
    except PackageNotFoundError as error:
        pytest.skip(f"NOT CHECKED behind HAProxy: {error}")
    url = f"mysql://{':'.join(ACCOUNT)}@{balancer.target}/{NAME}"
    with (
        balancer,
        serving(url, tmp_path, CHUNK_ROWS_MAX=500) as server,
        UserStreamClient(server.target) as client,
    ):
        users = client.stream_users()
        got = [next(users).user_id for _ in range(1000)]
        lost, left = sorted(hosts, key=readers, reverse=True)
        assert readers(lost) > 0
        fault(lost)
        got += [user.user_id for user in users]
        stored = execute(left.url, f"SELECT user_id FROM {NAME}.user_data ORDER BY user_id")

        assert [row[0] for row in stored] == got
        assert users.receipt
        assert Freshness.UNSPECIFIED is users.receipt.freshness


def readers(host: PrivateServer) -> int:
    """Return how many connections of the service a host has."""
    ((count,),) = execute(host.url, READING)
    return int(count)
