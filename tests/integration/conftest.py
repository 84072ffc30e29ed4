"""What the tests of several hosts share."""

import os
from collections.abc import Iterator
from typing import cast

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.mysql_binaries import Engine
from userstream_testing.replica import Replicated, replicated


@pytest.fixture(scope="session")
def pair() -> Iterator[Replicated]:
    """Yield a source and its replica, both with 3,000 users in the database `userstream_hosts`."""
    engine = cast("Engine", os.environ.get("USERSTREAM_TEST_ENGINE", "mysql"))
    with replicated(engine) as servers:
        seed_synthetic(DatabaseUrl.parse(servers.url("userstream_hosts", servers.source)), 3000)
        servers.wait_for("SELECT COUNT(*) FROM userstream_hosts.user_data")
        yield servers
