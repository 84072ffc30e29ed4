"""A replication group of three, with a table and servers over it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_server.seeding.synthetic import synthetic_users
from userstream_testing.admin import execute
from userstream_testing.fault_proxy import FaultProxy
from userstream_testing.group import NAME, Group
from userstream_testing.mysql_cluster import PrivateCluster
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.server_process import serving
from userstream_testing.waiting import until

ROWS = 4_000
EXPEL_AT_ONCE = ("--group-replication-member-expel-timeout=0",)
"""That is 5 s after its last word, so that a member that was killed can soon come back."""


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """Yield a group whose rows are named after the writes that made them."""
    with ExitStack() as stack:
        cluster = stack.enter_context(PrivateCluster(options=EXPEL_AT_ONCE))
        users = [UserRow(i, "Write 0", "someone@example.com", 30)
                 for i in sorted(user.user_id for user in synthetic_users(ROWS))]  # fmt: skip
        seed_users(DatabaseUrl.parse(f"{cluster.primary.url}/{NAME}"), users)
        proxies = [stack.enter_context(FaultProxy(member.port)) for member in cluster.servers]
        url = f"{cluster.url(*(proxy.target for proxy in proxies))}/{NAME}"
        folder = tmp_path_factory.mktemp("cluster")
        server = stack.enter_context(
            serving(url, folder, CHUNK_ROWS_MAX=250, METRICS_LISTEN="127.0.0.1:0")
        )
        yield Group(cluster, proxies, server)


@pytest.fixture
def whole_group(group: Group) -> Iterator[Group]:
    """Yield the group, and leave it whole, with the same rows in each member."""
    yield group
    group.cluster.heal()
    until(lambda: len({_digest(member) for member in group.cluster.servers}) == 1)


def _digest(member: PrivateServer) -> object:
    rows = f"SELECT COUNT(*), SUM(CRC32(CONCAT(user_id, name))) FROM {NAME}.user_data"
    return execute(member.url, rows)[0]
