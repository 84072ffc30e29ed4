"""Global variables of the database that would change what a SELECT returns: sessions set what they need."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_testing.admin import execute, open_url

MYSQL_NAMES = {"tx_isolation": "transaction_isolation"}
MARIADB_NAMES = {"max_execution_time": "max_statement_time"}


@contextmanager
def global_variable(url: str, name: str, value: str) -> Iterator[None]:
    """Set a global variable for the block, under the name that this database has for it."""
    ((version,),) = execute(url, "SELECT VERSION()")
    names = MARIADB_NAMES if "MariaDB" in version else MYSQL_NAMES
    name = names.get(name, name)
    ((before,),) = execute(url, f"SELECT @@GLOBAL.{name}")
    execute(url, f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        old = before.decode() if isinstance(before, bytes | bytearray) else before
        execute(url, f"SET GLOBAL {name} = {repr(old) if isinstance(old, str) else old}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sql_select_limit", "3"),
        ("sql_select_limit", "1000"),
        ("max_join_size", "10"),
        ("sql_safe_updates", "1"),
        ("completion_type", "'RELEASE'"),
        ("completion_type", "'CHAIN'"),
        ("sql_mode", "'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'"),
        ("tx_isolation", "'READ-UNCOMMITTED'"),
        ("max_execution_time", "1"),
    ],
)
@pytest.mark.parametrize("snapshot", [False, True])
def test_a_global_variable_changes_nothing(
    mysql_database: str,
    users: list[UserRow],
    name: str,
    value: str,
    snapshot: bool,  # noqa: FBT001
) -> None:
    """The table fits, all users and ages come, and the session can be used again."""
    seed_users(DatabaseUrl.parse(mysql_database), users)
    with global_variable(mysql_database, name, value):
        database = open_url(mysql_database)
        try:
            database.check()
            for _ in range(2):
                with database.session(snapshot=snapshot) as session:
                    reader = Users(session)

                    assert users == list(reader.stream_users())
                    assert sum(u.age for u in users) == sum(reader.stream_user_ages())
                    assert len(users) == reader.count(Scan())
        finally:
            database.close()
