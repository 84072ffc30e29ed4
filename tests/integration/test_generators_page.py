"""examples/generators, run on a real MySQL as docs/generators.md tells, beside the service over the same table."""

import ast
import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_testing.admin import execute
from userstream_testing.processlist import connections
from userstream_testing.repository import ROOT
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

FOLDER = ROOT / "examples/generators"
PAGE = (ROOT / "docs/generators.md").read_text("utf-8")
SECONDS = 60


class Scripts:
    """The scripts over one database.

    Args:
        url: The database.
    """

    def __init__(self, url: str) -> None:
        parsed = DatabaseUrl.parse(url)
        ((host, port),) = parsed.hosts
        self.url = url
        self.environment = {
            **os.environ,
            "MYSQL_HOST": host,
            "MYSQL_PORT": str(port),
            "MYSQL_USER": parsed.user,
            "MYSQL_PASSWORD": parsed.password or "",
            "MYSQL_DATABASE": parsed.database,
        }

    def run(self, *arguments: str) -> str:
        """Run Python in the folder of the scripts and return what it prints; a warning is an error."""
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=FOLDER,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert ("", 0) == (done.stderr, done.returncode)
        return done.stdout


@pytest.fixture
def scripts(mysql_database: str, users: list[UserRow], tmp_path: Path) -> Scripts:
    """Return the scripts over a database that seed.py made of a CSV file, in two runs."""
    path = tmp_path / "users.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("user_id", "name", "email", "age"))
        rows.writerows(users)
    made = Scripts(mysql_database)
    for _ in range(2):
        made.run("seed.py", str(path))
    return made


@pytest.fixture
def service(scripts: Scripts, tmp_path: Path) -> Iterator[ServerProcess]:
    """Yield a server over the same table."""
    with ServerProcess({"USERSTREAM_DATABASE_URL": scripts.url}, folder=tmp_path) as server:
        yield server


def printed(text: str) -> list[dict[str, object]]:
    """Return the dictionaries that a script printed."""
    read = re.sub(r"Decimal\('(\d+)'\)", r"\1", text)
    return [ast.literal_eval(line) for line in read.splitlines()]


def as_dictionaries(users: list[UserRow]) -> list[dict[str, object]]:
    return [dict(zip(("user_id", "name", "email", "age"), user, strict=True)) for user in users]


def test_seeding_twice_stores_each_user_once(scripts: Scripts, users: list[UserRow]) -> None:
    """The second run of the fixture added nobody."""
    assert [(len(users),)] == execute(scripts.url, "SELECT COUNT(*) FROM user_data")


def test_ids_are_those_of_the_service(scripts: Scripts, tmp_path: Path) -> None:
    """Without user_id in the file, `userstream-server seed` finds the same users there already."""
    path = tmp_path / "new.csv"
    path.write_text("name,email,age\nAda,ada@example.org,36\n", "utf-8")
    scripts.run("seed.py", str(path))

    done = subprocess.run(
        [sys.executable, "-m", "userstream_server", "seed", "--csv", str(path)],
        env={**os.environ, "USERSTREAM_DATABASE_URL": scripts.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "0 users added, 1 unchanged." in done.stdout + done.stderr


def test_the_four_read_what_is_there(scripts: Scripts, users: list[UserRow]) -> None:
    """Users, batches over 25, pages, and the average."""
    everyone = as_dictionaries(users)
    over_25 = [user for user in everyone if int(str(user["age"])) > 25]
    average = sum(user.age for user in users) / len(users)

    assert everyone[:6] == printed(scripts.run("stream_users.py"))
    assert over_25 == printed(scripts.run("batch_processing.py"))
    assert everyone == printed(scripts.run("lazy_paginate.py"))
    assert f"Average age of users: {average:.2f}\n" == scripts.run("stream_user_ages.py")


def test_both_ways_of_paging_agree_on_a_table_at_rest(scripts: Scripts) -> None:
    """By offset and by the last key, with pages of every kind: one, some, all users."""
    program = (
        "from lazy_paginate import *\n"
        "for size in (7, 617, 1234, 5000): assert list(lazy_paginate(size)) == list(keyset_paginate(size))"
    )

    assert "" == scripts.run("-c", program)


@pytest.mark.parametrize("name", ["stream_users", "stream_user_ages"])
def test_a_generator_that_is_closed_early_leaves_no_connection(scripts: Scripts, name: str) -> None:
    """`close()` runs what follows the `yield`, and the connection ends although rows are left."""
    scripts.run(
        "-c", f"from {name} import *; users = {name}(); next(users); users.close(); print(1)"
    )
    until(lambda: not connections(scripts.url))


@pytest.mark.parametrize(
    ("generator", "change", "second_page"),
    [
        ("lazy_paginate", "DELETE FROM user_data ORDER BY user_id LIMIT 10", 110),
        ("keyset_paginate", "DELETE FROM user_data ORDER BY user_id LIMIT 10", 100),
        ("lazy_paginate", "INSERT INTO user_data VALUES ('0', 'New', 'new@example.org', 1)", 99),
        ("keyset_paginate", "INSERT INTO user_data VALUES ('0', 'New', 'new@example.org', 1)", 100),
    ],
)
def test_offset_skips_and_repeats_users_where_the_key_does_not(
    scripts: Scripts, users: list[UserRow], generator: str, change: str, second_page: int
) -> None:
    """Rows are deleted from the first page, or one is inserted there, before the second page is read."""
    program = (
        "import sys, lazy_paginate, seed\n"
        "pages = getattr(lazy_paginate, sys.argv[1])(100)\n"
        "assert len(next(pages)) == 100\n"
        "with seed.connect_to_prodev() as db, db.cursor() as cursor:\n"
        "    cursor.execute(sys.argv[2])\n"
        "    db.commit()\n"
        "print(next(pages)[0]['user_id'])"
    )

    assert users[second_page].user_id == scripts.run("-c", program, generator, change).strip()


def test_the_service_gives_the_same(
    scripts: Scripts, service: ServerProcess, users: list[UserRow]
) -> None:
    """with_userstream.py prints the same users, batches, pages and average."""
    scripts.environment["USERSTREAM_TARGET"] = service.target
    lines = scripts.run("with_userstream.py").splitlines()

    assert [f"{user.name} {user.age}" for user in users[:6]] == lines[:6]
    assert "50 users over 25" == lines[6]
    assert "page 13 has 34 users" == lines[-2]
    assert scripts.run("stream_user_ages.py").strip() == lines[-1]


def test_the_page_shows_the_scripts_as_they_are() -> None:
    """Each block of Python on the page stands in one of the files."""
    files = [path.read_text("utf-8") for path in FOLDER.glob("*.py")]
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

    assert len(blocks) >= 5
    assert [] == [block for block in blocks if not any(block in file for file in files)]
