"""Seeding with accounts and servers that do not let it: what is said names the missing right."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError, UserStreamError
from userstream_server.seeding.seed import seed_synthetic, seed_users
from userstream_testing.admin import execute

COMMAND = (sys.executable, "-m", "userstream_server", "seed", "--rows", "5", "--database-url")


@contextmanager
def account(mysql_url: str, database: str, *grants: str) -> Iterator[str]:
    """Yield the URL of a database for an account with these grants; {} stands for the database."""
    name = f"a{secrets.token_hex(6)}"
    execute(
        mysql_url,
        f"CREATE USER '{name}'@'%' IDENTIFIED BY 'Hidden-word-1'",
        *(f"GRANT {grant.format(database)} TO '{name}'@'%'" for grant in grants),
    )
    try:
        parts = urlsplit(mysql_url)
        yield f"mysql://{name}:Hidden-word-1@{parts.hostname}:{parts.port}/{database}"
    finally:
        execute(mysql_url, f"DROP USER '{name}'@'%'")


def refusal(url: str) -> str:
    """Return what seeding says."""
    with pytest.raises(UserStreamError) as raised:
        seed_synthetic(DatabaseUrl.parse(url), 5)
    assert isinstance(raised.value, PreconditionError)
    assert "Hidden" not in raised.value.message
    return raised.value.message


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ((), "no right to this database"),
        (("SELECT, INSERT, UPDATE ON {}.*",), "lacks the right CREATE"),
        (("CREATE, SELECT, UPDATE ON {}.*",), "GRANT INSERT ON"),
        (("CREATE, SELECT, INSERT ON {}.*",), "GRANT UPDATE ON"),
        (("CREATE, INSERT, UPDATE ON {}.*",), "GRANT SELECT ON"),
    ],
)
def test_one_right_is_missing(
    mysql_url: str, mysql_database: str, grants: tuple[str, ...], words: str
) -> None:
    """In a database without the table, each of the four rights is asked for by its name."""
    database = DatabaseUrl.parse(mysql_database).database
    execute(mysql_url, f"CREATE DATABASE {database}")
    with account(mysql_url, database, *grants) as url:
        assert words in refusal(url)


def test_a_database_that_the_account_may_not_create(mysql_url: str, mysql_database: str) -> None:
    """The rights for seeding are spelled out."""
    database = DatabaseUrl.parse(mysql_database).database
    with account(mysql_url, database) as url:
        assert "GRANT CREATE, SELECT, INSERT, UPDATE ON" in refusal(url)


def test_the_documented_rights_suffice(mysql_url: str, mysql_database: str) -> None:
    """CREATE, SELECT, INSERT and UPDATE on the database make it, fill it, and update it."""
    database = DatabaseUrl.parse(mysql_database).database
    with account(mysql_url, database, "CREATE, SELECT, INSERT, UPDATE ON {}.*") as url:
        seed_synthetic(DatabaseUrl.parse(url), 5, key_kind="sequential")
        report = seed_synthetic(
            DatabaseUrl.parse(url), 5, key_kind="sequential", random_seed=2, update=True
        )

    assert report.updated_users == 5


def test_the_command_says_it_in_a_line(mysql_url: str, mysql_database: str, tmp_path: Path) -> None:
    """Exit code 1; no name, password or text of the driver."""
    database = DatabaseUrl.parse(mysql_database).database
    seed_users(DatabaseUrl.parse(mysql_database), [])
    with account(mysql_url, database, "SELECT, INSERT ON {}.*") as url:
        done = subprocess.run(
            [*COMMAND, url], cwd=tmp_path, capture_output=True, check=False, timeout=60
        )

    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"GRANT UPDATE ON <database>.user_data TO <account>" in done.stderr
    assert b"Hidden" not in done.stderr


@pytest.fixture
def global_values(mysql_url: str) -> Iterator[dict[str, int]]:
    """Yield a place for global variables to set back; the tests of a run share one server."""
    before: dict[str, int] = {}
    yield before
    for name, value in before.items():
        execute(mysql_url, f"SET GLOBAL {name} = {value}")


def test_transactions_that_are_read_only_by_default(
    mysql_url: str, mysql_database: str, global_values: dict[str, int]
) -> None:
    """Seeding says for its session that it writes."""
    is_mariadb = "MariaDB" in execute(mysql_url, "SELECT VERSION()")[0][0]
    name = "tx_read_only" if is_mariadb else "transaction_read_only"
    global_values[name] = 0
    execute(mysql_url, f"SET GLOBAL {name} = 1")

    assert seed_synthetic(DatabaseUrl.parse(mysql_database), 5).new_users == 5


def test_a_server_that_is_read_only(
    mysql_url: str, mysql_database: str, global_values: dict[str, int]
) -> None:
    """A replica is named as one, and nothing is written."""
    database = DatabaseUrl.parse(mysql_database).database
    seed_users(DatabaseUrl.parse(mysql_database), [])
    with account(mysql_url, database, "CREATE, SELECT, INSERT, UPDATE ON {}.*") as url:
        global_values["read_only"] = 0
        execute(mysql_url, "SET GLOBAL read_only = 1")
        said = refusal(url)
        execute(mysql_url, "SET GLOBAL read_only = 0")

    assert "read-only" in said
    assert "takes writes" in said
