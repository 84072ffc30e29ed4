"""Shared fixtures: real databases of one test's own, and real servers over them."""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from userstream_server.db.rows import UserRow
from userstream_server.db.seed import seed_users
from userstream_server.db.synthetic import synthetic_users
from userstream_server.db.url import DatabaseUrl
from userstream_testing.admin import admin_connection
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.server_process import ServerProcess

ENGINES = ("sqlite", "mysql")


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """Yield the URL of a real MySQL or MariaDB: the one scripts/mysql started, else one of our own."""
    url = os.environ.get("USERSTREAM_TEST_MYSQL_URL")
    if url:
        yield url
        return
    with PrivateServer() as server:
        yield server.url


@pytest.fixture
def mysql_database(mysql_url: str) -> Iterator[str]:
    """Yield the URL of a database with a name of its own, dropped afterwards."""
    name = f"userstream_test_{secrets.token_hex(6)}"
    yield f"{mysql_url}/{name}"
    with closing(admin_connection(mysql_url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/users.db"
    url: str = request.getfixturevalue("mysql_database")
    return url


@pytest.fixture
def users() -> list[UserRow]:
    """Return 1,234 made-up users in key order."""
    return sorted(synthetic_users(1234, random_seed=7))


@pytest.fixture
def seeded_url(database_url: str, users: list[UserRow]) -> str:
    """Return the URL of a database that holds `users`, on each engine in turn."""
    seed_users(DatabaseUrl.parse(database_url), users)
    return database_url


@pytest.fixture
def server(seeded_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    """Yield a real server process over `seeded_url`."""
    with ServerProcess({"USERSTREAM_DATABASE_URL": seeded_url}, folder=tmp_path) as process:
        yield process
