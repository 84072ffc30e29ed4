"""Shared fixtures: real databases of one test's own, and real servers over them."""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_synthetic, seed_users
from userstream_server.seeding.synthetic import synthetic_users
from userstream_testing.admin import execute
from userstream_testing.certificates import Authority
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.reader import reader_of
from userstream_testing.server_process import ServerProcess

FAST = bool(os.environ.get("USERSTREAM_TEST_FAST"))
"""Set by scripts/test --fast: no MySQL, and none of the tests marked slow."""
ENGINES = ("sqlite",) if FAST else ("sqlite", "mysql")
_NEED_MYSQL = {"mysql_url", "mysql_database", "reader_url", "pair", "group"}

# Started in the background of a shell, all processes ignore Ctrl-C, and those that tests start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --fast, leave out what needs MySQL or is marked slow; pytest says how many that are."""
    if not FAST:
        return
    left_out = [
        item
        for item in items
        if _NEED_MYSQL & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("slow")
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """Yield the URL of a real MySQL or MariaDB: the one scripts/mysql started, else one of our own."""
    url = os.environ.get("USERSTREAM_TEST_MYSQL_URL")
    if url:
        yield url
        return
    with PrivateServer() as server:
        yield server.url


@contextmanager
def fresh_database(engine: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of an empty database with a name of its own, dropped afterwards."""
    if engine == "sqlite":
        yield f"sqlite:///{folder}/users.db"
        return
    mysql: str = request.getfixturevalue("mysql_url")
    name = f"userstream_test_{secrets.token_hex(6)}"
    yield f"{mysql}/{name}"
    execute(mysql, f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def mysql_database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of an empty MySQL database of the test's own."""
    with fresh_database("mysql", tmp_path, request) as url:
        yield url


@pytest.fixture(params=ENGINES)
def database_url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of an empty database of the test's own, on each engine in turn."""
    with fresh_database(request.param, tmp_path, request) as url:
        yield url


@pytest.fixture(scope="session")
def users() -> list[UserRow]:
    """Return 1,234 made-up users in key order."""
    return sorted(synthetic_users(1234, random_seed=7))


@pytest.fixture
def seeded_url(database_url: str, users: list[UserRow]) -> str:
    """Return the URL of a database of the test's own that holds `users`, on each engine in turn."""
    seed_users(DatabaseUrl.parse(database_url), users)
    return database_url


@pytest.fixture(scope="session", params=ENGINES)
def shared_url(
    users: list[UserRow], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Yield the URL of a database with `users` that tests only read, on each engine in turn."""
    folder = tmp_path_factory.mktemp("shared")
    with fresh_database(request.param, folder, request) as url:
        seed_users(DatabaseUrl.parse(url), users)
        yield url


@pytest.fixture(scope="session")
def reader_url(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Yield the URL of a MySQL database with 60,000 users, for the account that docs/operations.md recommends."""
    with fresh_database("mysql", tmp_path_factory.mktemp("reader"), request) as url:
        seed_synthetic(DatabaseUrl.parse(url), 60_000)
        with reader_of(url) as reader:
            yield reader


@pytest.fixture
def server(seeded_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    """Yield a real server process of the test's own over `seeded_url`."""
    with ServerProcess({"USERSTREAM_DATABASE_URL": seeded_url}, folder=tmp_path) as process:
        yield process


@pytest.fixture(scope="session")
def shared_server(
    shared_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Yield a real server process over `shared_url`, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess({"USERSTREAM_DATABASE_URL": shared_url}, folder=folder) as process:
        yield process


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return a new authority."""
    return Authority(tmp_path)
