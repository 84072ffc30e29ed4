"""Seeding real databases: idempotent, bad rows kept apart, memory flat."""

import os
import resource
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.generators import Users
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import (
    ensure_embedded,
    seed_csv,
    seed_sample,
    seed_synthetic,
    seed_users,
)
from userstream_server.seeding.synthetic import KEY_KINDS, KeyKind, synthetic_users
from userstream_testing.admin import open_url

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "seed.py"


def stored(url: str) -> list[UserRow]:
    """Read the whole table."""
    database = open_url(url)
    with database.session() as session:
        rows = list(Users(session).stream_users())
    database.close()
    return rows


def run(*arguments: str, **environment: str) -> Any:
    """Run scripts/seed.py."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("USERSTREAM_")}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_seeding_twice_changes_nothing(database_url: str) -> None:
    """The second time every user is there already."""
    url = DatabaseUrl.parse(database_url)
    first, again = seed_sample(url), seed_sample(url)

    assert (1000, 0, 0) == (first.new_users, first.unchanged_users, first.rejected_rows)
    assert (0, 1000) == (again.new_users, again.unchanged_users)
    assert len(stored(database_url)) == 1000


def test_the_sample_has_what_the_docs_say(database_url: str) -> None:
    """Ages from 1 to 120, some of exactly 25, quotes, apostrophes and other scripts."""
    seed_sample(DatabaseUrl.parse(database_url))
    rows = stored(database_url)
    ages = [row.age for row in rows]
    names = "".join(row.name for row in rows)

    assert (1, 120) == (min(ages), max(ages))
    assert ages.count(25) >= 10
    assert all(mark in names for mark in ('"', "'", "李", "Ö" if "Ö" in names else "ö", "م"))
    assert all("@" in row.email and "example." in row.email for row in rows)


def test_a_known_user_stays_as_it_is(database_url: str, tmp_path: Path) -> None:
    """Seeding does not overwrite."""
    path = tmp_path / "u.csv"
    for name in ("First", "Second"):
        path.write_text(f"name,email,age\n{name},x@example.com,1\n", encoding="utf-8")
        seed_csv(DatabaseUrl.parse(database_url), path)

    assert ["First"] == [row.name for row in stored(database_url)]


def test_hard_texts_arrive_unchanged(database_url: str) -> None:
    """Quotes, backslashes, SQL and emoji are stored as they were given."""
    texts = ["O'Neil", '"', "\\", "\\'", "'); DROP TABLE user_data; --", "🌻", "%s", "a\nb", "\x1f"]
    users = [
        UserRow(f"00000000-0000-4000-8000-{n:012d}", t, f"{t}@example.com", 0)
        for n, t in enumerate(texts)
    ]
    seed_users(DatabaseUrl.parse(database_url), users)

    assert users == stored(database_url)


def test_rejects_go_to_a_file(database_url: str, tmp_path: Path) -> None:
    """Good rows are kept, bad ones are listed with line and reason, and the command says so and exits 1."""
    path = tmp_path / "u.csv"
    path.write_bytes(
        b"name,email,age\nA,a@example.com,1\nB,b@example.com,x\nC\xff,c@example.com,1\nD,d@example.com,2\n"
    )
    done = run("--csv", str(path), "--database-url", database_url)

    assert done.returncode == 1
    assert "2 users added" in done.stderr
    assert "2 rows rejected" in done.stderr
    assert "b@example.com" not in done.stderr + done.stdout
    assert ["A", "D"] == sorted(row.name for row in stored(database_url))
    rejects = (tmp_path / "u.csv.rejects.csv").read_bytes().splitlines()
    assert [
        b"line,reason,fields",
        b"3,age is not a whole number of 0 or more,B,b@example.com,x",
    ] == rejects[:2]
    assert rejects[2] == b"4,name is not valid UTF-8,C\xff,c@example.com,1"


def test_no_rejects_no_file(tmp_path: Path) -> None:
    """A clean file leaves nothing beside it and exits 0."""
    path = tmp_path / "u.csv"
    path.write_text("name,email,age\nA,a@example.com,1\n", encoding="utf-8")
    done = run("--csv", str(path), USERSTREAM_DATABASE_URL=f"sqlite:///{tmp_path}/x.db")

    assert done.returncode == 0
    assert ["u.csv", "x.db"] == sorted(p.name for p in tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--rows", "0"),
        ("--rows", "5", "--sample"),
        ("--csv", "/nowhere.csv"),
        ("--rows", "5", "--key-kind", "odd"),
        ("--rows", "5", "--database-url", "mysql:nothing"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 2, and nothing is made."""
    done = run(*arguments, USERSTREAM_DATABASE_URL=f"sqlite:///{tmp_path}/x.db")

    assert done.returncode == 2
    assert done.stderr


def test_a_file_that_is_no_csv_of_users(tmp_path: Path) -> None:
    """Exit code 2 and one line about the header."""
    path = tmp_path / "u.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    done = run("--csv", str(path), USERSTREAM_DATABASE_URL=f"sqlite:///{tmp_path}/x.db")

    assert done.returncode == 2
    assert "name,email,age" in done.stderr


def test_a_database_that_is_down() -> None:
    """Exit code 1 and one line without the driver's words."""
    done = run("--rows", "5", "--database-url", "mysql://u:topsecret@127.0.0.1:1/x")

    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0
    assert "topsecret" not in done.stderr


@pytest.mark.parametrize("key_kind", KEY_KINDS)
def test_made_up_users(database_url: str, key_kind: KeyKind) -> None:
    """As many as asked for, all different, the same again for the same seed."""
    report = seed_synthetic(DatabaseUrl.parse(database_url), 3000, key_kind=key_kind)

    assert report.new_users == 3000
    assert sorted(synthetic_users(3000, key_kind=key_kind)) == stored(database_url)


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    """Seeding 200,000 users from a file needs little more memory than seeding 2,000."""
    peaks = []
    for rows in (2000, 200_000):
        path = tmp_path / f"{rows}.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("name,email,age\n")
            file.writelines(f"{u.name},{u.email},{u.age}\n" for u in synthetic_users(rows))
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        done = run("--csv", str(path), "--database-url", f"sqlite:///{tmp_path}/{rows}.db")
        assert done.returncode == 0
        peaks.append(max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))

    assert peaks[1] - peaks[0] < 24 * 1024  # kilobytes


def test_the_embedded_database_is_left_alone_once_filled(tmp_path: Path) -> None:
    """ensure_embedded fills a missing or empty file, and no other."""
    url = DatabaseUrl("sqlite", path=tmp_path / "deep" / "x.db")
    ensure_embedded(url)
    assert url.path is not None
    seed_synthetic(url, 5)
    ensure_embedded(url)
    assert len(stored(f"sqlite:///{url.path}")) == 1005
    url.path.write_bytes(b"")
    ensure_embedded(url)

    assert len(stored(f"sqlite:///{url.path}")) == 1000
    with closing(open_url(f"sqlite:///{url.path}")) as database:
        assert database.check().server.startswith("SQLite")
    assert ["x.db"] == [p.name for p in url.path.parent.iterdir()]
