"""Seeding where it is hard: duplicates, long rows, tables and accounts that do not fit, two at once."""

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import ensure_embedded, seed_csv, seed_synthetic, seed_users
from userstream_server.seeding.synthetic import synthetic_users
from userstream_testing.admin import admin_connection, execute

KEY = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_of_two_users_with_one_key_the_first_stays(
    database_url: str, tmp_path: Path, batch_rows: int
) -> None:
    """The order of the file decides, in one batch as in several, and the second is a conflict."""
    path = tmp_path / "u.csv"
    path.write_text(
        f"user_id,name,email,age\n{KEY},Zoë,z@x.com,1\n{KEY.upper()},Ann,a@x.com,2\n",
        encoding="utf-8",
    )
    report = seed_csv(DatabaseUrl.parse(database_url), path, batch_rows=batch_rows)

    assert (1, 0, 1) == (report.new_users, report.unchanged_users, report.rejected_rows)
    ((name,),) = execute(database_url, "SELECT name FROM user_data")
    assert name == "Zoë"


def test_the_longest_rows_fit(database_url: str) -> None:
    """Thousands of users with every field at its longest are split into statements a server takes."""
    longest = "\\" * 127 + "'" * 127 + "🌻"
    users = [UserRow(f"{KEY[:-5]}{n:05d}", longest, longest, 9_999_999_999) for n in range(2500)]
    seed_users(DatabaseUrl.parse(database_url), users)

    stored = execute(database_url, "SELECT MIN(name), MAX(email), SUM(age) FROM user_data")
    assert [(longest, longest, 2500 * 9_999_999_999)] == stored


def test_progress_adds_up(database_url: str, tmp_path: Path) -> None:
    """A file's bytes, or the users to make, are all told about."""
    path = tmp_path / "u.csv"
    path.write_text(
        "name,email,age\n" + "".join(f"A,a{n}@x.com,{n}\n" for n in range(999)), encoding="utf-8"
    )
    told: list[int] = []
    seed_csv(DatabaseUrl.parse(database_url), path, batch_rows=100, progress=told.append)
    made: list[int] = []
    seed_synthetic(DatabaseUrl.parse(database_url), 250, batch_rows=100, progress=made.append)

    assert (10, path.stat().st_size) == (len(told), sum(told))
    assert [100, 100, 50] == made


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("user_id CHAR(36) NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, age INT NOT NULL", "primary key"),
        ("user_id CHAR(36) PRIMARY KEY NOT NULL, name TEXT NOT NULL, age INT NOT NULL", "no column email"),
    ],
)  # fmt: skip
def test_a_table_of_another_shape_is_left_alone(
    database_url: str, table: str, complaint: str
) -> None:
    """Without its key, seeding twice would add everyone twice: nothing is written."""
    url = DatabaseUrl.parse(database_url)
    seed_users(url, [])
    execute(database_url, "DROP TABLE user_data", f"CREATE TABLE user_data ({table})")
    with pytest.raises(PreconditionError, match=complaint):
        seed_synthetic(url, 10)

    assert execute(database_url, "SELECT COUNT(*) FROM user_data") == [(0,)]


@pytest.fixture
def insert_only_url(mysql_url: str, mysql_database: str) -> Iterator[str]:
    """Yield the URL of an account that may read and add rows of an existing table, no more."""
    seed_users(DatabaseUrl.parse(mysql_database), [])
    database = DatabaseUrl.parse(mysql_database).database
    account = f"'{database[:26]}'@'%'"
    with closing(admin_connection(mysql_url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE USER {account} IDENTIFIED BY 'Little-1-may'")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE ON {database}.* TO {account}")
        parts = urlsplit(mysql_database)
        yield f"mysql://{database[:26]}:Little-1-may@{parts.hostname}:{parts.port}{parts.path}"
        cursor.execute(f"DROP USER {account}")


def test_an_account_that_may_only_add(insert_only_url: str) -> None:
    """Where database and table are there, the right to create them is not needed."""
    report = seed_synthetic(DatabaseUrl.parse(insert_only_url), 10)

    assert report.new_users == 10


def test_a_database_name_that_needs_quoting(mysql_url: str, mysql_database: str) -> None:
    """Any name MySQL takes is taken, and is a name only."""
    name = DatabaseUrl.parse(mysql_database).database + "-`;x"
    url = DatabaseUrl.parse(f"{mysql_url}/{name}")
    try:
        assert seed_synthetic(url, 10).new_users == 10
        assert seed_synthetic(url, 10).unchanged_users == 10
    finally:
        quoted = name.replace("`", "``")
        execute(mysql_url, f"DROP DATABASE `{quoted}`")


def test_row_estimates_are_fresh(mysql_database: str) -> None:
    """The optimiser, and so the service's estimates, know about the new users at once."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 5000)
    ((estimate,),) = execute(
        mysql_database,
        "SELECT n_rows FROM mysql.innodb_table_stats"
        f" WHERE database_name = '{DatabaseUrl.parse(mysql_database).database}'",
    )

    assert 4000 < estimate < 6000


def test_rejects_are_for_their_owner_alone(tmp_path: Path) -> None:
    """The rejects hold personal data."""
    path = tmp_path / "u.csv"
    path.write_text("name,email,age\nA,,1\n", encoding="utf-8")
    report = seed_csv(DatabaseUrl("sqlite", path=tmp_path / "x.db"), path)

    assert report.rejects is not None
    assert stat.S_IMODE(report.rejects.stat().st_mode) == 0o600


def test_rejects_never_overwrite_their_source(tmp_path: Path) -> None:
    """Also under another name of the same file."""
    path, other = tmp_path / "u.csv", tmp_path / "other.csv"
    path.write_text("name,email,age\nA,,1\n", encoding="utf-8")
    other.hardlink_to(path)
    with pytest.raises(FileExistsError):
        seed_csv(DatabaseUrl("sqlite", path=tmp_path / "x.db"), path, rejects=other)

    assert path.read_text(encoding="utf-8") == "name,email,age\nA,,1\n"


def test_two_servers_start_at_once(tmp_path: Path) -> None:
    """Both find a whole embedded database, and no scratch file stays."""
    url = DatabaseUrl("sqlite", path=tmp_path / "x.db")
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(ensure_embedded, url) for _ in range(4)]:
            done.result()

    assert execute(f"sqlite:///{url.path}", "SELECT COUNT(*) FROM user_data") == [(1000,)]
    assert ["x.db"] == [path.name for path in tmp_path.iterdir()]


def test_an_embedded_database_where_none_can_be(tmp_path: Path) -> None:
    """A path through a file is refused in our own words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PreconditionError, match="cannot be made"):
        ensure_embedded(DatabaseUrl("sqlite", path=tmp_path / "file" / "x.db"))


def test_a_failing_source_leaves_whole_batches(database_url: str) -> None:
    """When what is read breaks off, the batches before it are there, and no part of another."""

    def breaking() -> Iterator[UserRow]:
        yield from synthetic_users(25_000)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        seed_users(DatabaseUrl.parse(database_url), breaking())

    assert execute(database_url, "SELECT COUNT(*) FROM user_data") == [(20_000,)]
