"""Tables that cannot be served are refused in one line that says what to do, and only what can be done."""

import re
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.preflight import find_all
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_server.settings import load_settings
from userstream_testing.admin import execute, open_url
from userstream_testing.repository import ROOT

COLUMNS = "name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, age INT NOT NULL"
TEXT_KEY = "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
PEOPLE = f"CREATE TABLE people (id {TEXT_KEY} PRIMARY KEY, full_name CHAR(99), mail VARCHAR(99), years INT, team INT)"
SELECT = "SELECT id AS user_id, full_name AS name, mail AS email, years AS age FROM people"
VIEW = f"CREATE VIEW user_data AS {SELECT}"
TEAMS = ["CREATE TABLE teams (number INT)", "INSERT INTO teams VALUES (1), (2)"]


def composite(key: str) -> str:
    """Return a table below a view, whose key is not id alone."""
    return PEOPLE.replace(" PRIMARY KEY", "").replace("team INT", f"team INT NOT NULL, {key}")


VIEWS = {
    "without a column": ([PEOPLE, VIEW.replace("mail AS email, ", "")], "it has no column email"),
    "an expression": ([PEOPLE, VIEW.replace("id AS", "UPPER(id) AS")], "user_id may be NULL"),
    "coalesce": ([PEOPLE, VIEW.replace("id AS", "COALESCE(id, '') AS")], "not its primary key"),
    "union": ([PEOPLE, f"{VIEW} UNION ALL {SELECT}"], "not its primary key"),
    "distinct": ([PEOPLE, VIEW.replace("SELECT", "SELECT DISTINCT")], "not its primary key"),
    "limit": ([PEOPLE, f"{VIEW} LIMIT 9"], "not its primary key"),
    "temptable": (
        [PEOPLE, VIEW.replace("VIEW", "ALGORITHM = TEMPTABLE VIEW", 1)],
        "not its primary key",
    ),
    "join": ([PEOPLE, *TEAMS, f"{VIEW}, teams"], "not its primary key"),
    "left join": ([PEOPLE, *TEAMS, f"{VIEW} RIGHT JOIN teams ON TRUE"], "user_id may be NULL"),
    "longer key": ([composite("PRIMARY KEY (id, team)"), VIEW], "not its primary key"),
    "key of another": ([composite("PRIMARY KEY (team, id)"), VIEW], "not its primary key"),
    "no unique key": ([composite("KEY (id)"), VIEW], "not its primary key"),
    "nothing below": ([PEOPLE, VIEW, "DROP TABLE people"], "it is a view that cannot be read"),
}
TABLES = {
    "two names": (
        [f"CREATE TABLE {n} (user_id {TEXT_KEY}, {COLUMNS})" for n in ("USER_DATA", "User_Data")],
        "USER_DATA and User_Data",
    ),
    "upper case": (
        [f"CREATE TABLE USER_DATA (user_id {TEXT_KEY}, {COLUMNS})"],
        "ALTER TABLE USER_DATA ADD PRIMARY KEY",
    ),
    "null keys": (
        [f"CREATE TABLE user_data (user_id VARCHAR(36) NULL UNIQUE, {COLUMNS})"],
        "user_id may be NULL",
    ),
    "binary text": (
        [f"CREATE TABLE user_data (user_id BINARY(36) NOT NULL PRIMARY KEY, {COLUMNS})"],
        "of type binary",
    ),
    "numbers": (
        [f"CREATE TABLE user_data (user_id BIGINT NOT NULL PRIMARY KEY, {COLUMNS})"],
        "of type bigint",
    ),
}


@pytest.fixture
def url(mysql_url: str, mysql_database: str) -> str:
    """Return the URL of an empty database."""
    execute(mysql_url, f"CREATE DATABASE {DatabaseUrl.parse(mysql_database).database}")
    return mysql_database


def refused(url: str) -> PreconditionError:
    """Return the refusal, which is one line."""
    with closing(open_url(url)) as database, pytest.raises(PreconditionError) as caught:
        database.check()

    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("what", VIEWS)
def test_views(url: str, what: str) -> None:
    """A view is never to be altered. Its rows do not matter, but what the database knows of them."""
    statements, words = VIEWS[what]
    execute(url, *statements)
    error = refused(url)

    assert error.reason == "TABLE_SHAPE"
    assert words in error.message
    assert "CREATE OR REPLACE VIEW" in error.message
    assert "ALTER" not in error.message


@pytest.mark.parametrize("what", TABLES)
def test_tables(url: str, what: str) -> None:
    """A table can be altered or renamed."""
    statements, words = TABLES[what]
    execute(url, *statements)
    error = refused(url)

    assert error.reason == "TABLE_SHAPE"
    assert words in error.message
    assert "ALTER TABLE" in error.message or "RENAME TABLE" in error.message


SQLITE: list[tuple[list[Any], str]] = [
    (
        ["CREATE TABLE p (a, b, c, d)", "CREATE VIEW user_data AS SELECT a user_id, b name FROM p"],
        "of type",
    ),
    ([f"CREATE TABLE user_data (user_id TEXT NOT NULL, {COLUMNS})"], "not its primary key"),
    (
        [f"CREATE TABLE user_data (user_id TEXT NOT NULL, {COLUMNS}, PRIMARY KEY (user_id, age))"],
        "not its primary key",
    ),
    ([f"CREATE TABLE user_data (user_id BLOB PRIMARY KEY, {COLUMNS})"], "of type blob"),
]


@pytest.mark.parametrize(("statements", "words"), SQLITE)
def test_sqlite(tmp_path: Path, statements: list[str], words: str) -> None:
    """The same for SQLite, where no column can be altered and a view has no key."""
    url = f"sqlite:///{tmp_path}/users.db"
    execute(url, *statements)
    error = refused(url)

    assert words in error.message
    assert "ALTER" not in error.message
    assert "schema_sqlite.sql" in error.message


@contextmanager
def account(url: str, *grants: str) -> Iterator[str]:
    """Yield the URL for an account with these rights, such as `SELECT ON user_data`."""
    parsed = DatabaseUrl.parse(url)
    name = f"account_{secrets.token_hex(4)}"
    execute(url, f"CREATE USER {name} IDENTIFIED BY 'word'")
    try:
        execute(url, *(f"GRANT {grant} TO {name}" for grant in grants))
        yield url.replace(f"{parsed.user}:{parsed.password}@", f"{name}:word@")
    finally:
        execute(url, f"DROP USER {name}")


TABLE = f"CREATE TABLE user_data (user_id {TEXT_KEY} PRIMARY KEY, {COLUMNS})"
RIGHTS = [
    ([TABLE], ["INSERT ON user_data"], "GRANT SELECT ON <database>.user_data"),
    ([TABLE], ["SELECT (user_id, name, email) ON user_data"], "no column age, or the account may"),
    (
        [TABLE],
        ["SELECT (user_id, name, email) ON user_data", "INSERT ON user_data"],
        "GRANT SELECT ON <database>.user_data",
    ),
    ([PEOPLE, VIEW], ["INSERT ON user_data"], "GRANT SELECT"),
    ([PEOPLE, VIEW], ["SELECT ON user_data", "SELECT ON people"], "GRANT SELECT, SHOW VIEW ON"),
    ([PEOPLE, VIEW], ["SELECT, SHOW VIEW ON user_data"], "GRANT SELECT (<key column>)"),
    (
        [PEOPLE, VIEW.replace("VIEW", "SQL SECURITY INVOKER VIEW", 1)],
        ["SELECT, SHOW VIEW ON user_data", "SELECT (id) ON people"],
        "SELECT on one. Create or grant",
    ),
]


@pytest.mark.parametrize(("statements", "grants", "words"), RIGHTS)
def test_the_missing_right_is_named(
    url: str, statements: list[str], grants: list[str], words: str
) -> None:
    """`--check` and the start fail: what describes a table is told to accounts that may not read it."""
    execute(url, *statements)
    with account(url, *grants) as limited:
        message = refused(limited).message
        findings = list(find_all(load_settings(database_url=limited)))

    assert words in message
    assert [message in finding.text for finding in findings if finding.state == "FAIL"] == [True]
    assert not any(f.subject == "table" and f.state == "ok" for f in findings)


@pytest.mark.parametrize(
    ("statements", "grants", "words"),
    [
        ([TABLE], ["SELECT ON user_data"], "user_data fits; user_id ascends by ascii_bin, byte"),
        (
            [PEOPLE, VIEW],
            ["SELECT, SHOW VIEW ON user_data", "SELECT (id) ON people"],
            "the view user_data fits; user_id ascends by ascii_bin, byte by byte",
        ),
        (
            [TABLE.replace("user_data", "USER_DATA").replace(TEXT_KEY, "BINARY(16)")],
            ["SELECT ON USER_DATA"],
            "USER_DATA fits; user_id ascends by binary, byte by byte",
        ),
    ],
)
def test_enough_rights(url: str, statements: list[str], grants: list[str], words: str) -> None:
    """The rights that the documentation names are enough for `--check`, which says what is served."""
    execute(url, *statements)
    with account(url, *grants) as limited:
        findings = list(find_all(load_settings(database_url=limited)))

    assert any(f.subject == "table" and f.state == "ok" and words in f.text for f in findings)


def test_the_documented_view(url: str) -> None:
    """The statements of docs/tables.md, word for word, make a view that is served."""
    page = (ROOT / "docs/tables.md").read_text("utf-8")
    section = page[page.index("### Views") : page.index("## Rows")]
    view, grants = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    execute(url, PEOPLE.replace("team INT", "deleted_at DATETIME"), view)
    rights = re.findall(r"GRANT (.*?) TO 'userstream'@'%';", grants.replace("ALX_prodev.", ""))
    with account(url, *rights) as limited, closing(open_url(limited)) as database:
        assert database.check().table.is_view

    assert len(rights) == 2


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([PEOPLE, VIEW], "Fill the table below it"),
        ([TABLE.replace(TEXT_KEY, "BINARY(16)")], "its user_id is not text"),
        ([TABLE.replace("user_data", "User_Data")], "RENAME TABLE User_Data TO user_data"),
    ],
)
def test_seeding_refuses_what_it_cannot_write(url: str, statements: list[str], words: str) -> None:
    """It writes to a table with text ids, and makes no second one beside one in upper case."""
    execute(url, *statements)
    with pytest.raises(PreconditionError, match=words):
        seed_users(DatabaseUrl.parse(url), [UserRow("a" * 36, "n", "e", 1)])

    assert len(execute(url, "SHOW TABLES")) == len(statements)
