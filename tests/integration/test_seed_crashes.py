"""Seeding that is killed, seeding twice at once, and files of millions of rows with duplicates, on a real database."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import SeedReport, seed_csv, seed_users
from userstream_server.seeding.synthetic import synthetic_users
from userstream_testing.admin import admin_connection, execute

COMMAND = (sys.executable, "-m", "userstream_server", "seed")
# Says at its end how much memory it took, in kilobytes.
MEASURED = (
    sys.executable,
    "-c",
    "import atexit, resource; from userstream_server.seeding.command import main;"
    "atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)); main()",
)
MOST_MORE_KILOBYTES = 24 * 1024


def write(path: Path, users: Iterable[UserRow]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id,name,email,age\n")
        file.writelines(f"{','.join(map(str, user))}\n" for user in users)
    return path


def stored(url: str) -> list[UserRow]:
    rows = execute(url, "SELECT user_id, name, email, age FROM user_data ORDER BY user_id")
    return [UserRow(i, n, e, int(a)) for i, n, e, a in rows]


def count(url: str) -> int:
    ((users,),) = execute(url, "SELECT COUNT(*) FROM user_data")
    return int(users)


def killed(url: str, path: Path, at_users: int) -> int:
    """Seed in a process that is killed (SIGKILL) once so many users are stored; return its exit code."""
    command = [*COMMAND, "--csv", str(path), "--batch-rows", "20", "--database-url", url]
    with (
        closing(admin_connection(url)) as connection,
        connection.cursor() as cursor,
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as process,
    ):
        deadline, users = time.monotonic() + 60, 0
        while users < at_users and process.poll() is None and time.monotonic() < deadline:
            cursor.execute("SELECT COUNT(*) FROM user_data")
            ((users,),) = cursor.fetchall()
        process.kill()
    return process.returncode


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.long)])
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_in_the_middle(mysql_database: str, tmp_path: Path, rounds: int) -> None:
    """What is stored then are users of the file, as they stand there; the next run adds the rest and exits 0."""
    users = list(synthetic_users(20_000))
    path = write(tmp_path / "u.csv", [*users, *users[:500]])
    users.sort()
    dice = random.Random(rounds)
    seed_users(DatabaseUrl.parse(mysql_database), [])
    for _ in range(rounds):
        execute(mysql_database, "TRUNCATE TABLE user_data")
        assert killed(mysql_database, path, dice.randrange(1, 10_000)) == -signal.SIGKILL
        there = stored(mysql_database)
        assert 0 < len(there) < len(users)
        assert set(there) <= set(users)

        report = seed_csv(DatabaseUrl.parse(mysql_database), path)
        assert (len(users) - len(there), 0) == (report.new_users, report.rejected_rows)
        assert users == stored(mysql_database)


def at_once(url: str, *paths: Path) -> list[SeedReport]:
    """Seed files side by side, in small transactions."""
    with ThreadPoolExecutor(len(paths)) as threads:
        seeds = [threads.submit(seed_csv, DatabaseUrl.parse(url), p, batch_rows=300) for p in paths]
        return [seed.result() for seed in seeds]


@pytest.mark.parametrize("index", [None, "CREATE UNIQUE INDEX one_email ON user_data (email)"])
def test_two_at_once(mysql_database: str, tmp_path: Path, index: str | None) -> None:
    """Each user is added by one of them and unchanged for the other, in whatever order their files are."""
    users = list(synthetic_users(6000))
    seed_users(DatabaseUrl.parse(mysql_database), [])
    if index:
        execute(mysql_database, index)
    forward = write(tmp_path / "forward.csv", users)
    backward = write(tmp_path / "backward.csv", users[::-1])
    for paths in ((forward, backward), (forward, forward)):
        execute(mysql_database, "TRUNCATE TABLE user_data")
        reports = at_once(mysql_database, *paths)

        assert [6000, 6000] == [r.new_users + r.unchanged_users for r in reports]
        assert sum(r.new_users for r in reports) == 6000
        assert sorted(users) == stored(mysql_database)


def test_two_that_disagree(mysql_database: str, tmp_path: Path) -> None:
    """Each user is stored as one of the files has it, and a conflict for the other."""
    users = list(synthetic_users(3000))
    others = [user._replace(name="Other") for user in users]
    seed_users(DatabaseUrl.parse(mysql_database), [])
    one, other = at_once(
        mysql_database, write(tmp_path / "1.csv", users), write(tmp_path / "2.csv", others[::-1])
    )

    assert one.new_users + other.new_users == 3000
    assert (other.new_users, one.new_users) == (one.rejected_rows, other.rejected_rows)
    names = execute(mysql_database, "SELECT COUNT(*) FROM user_data WHERE name = 'Other'")
    assert [(other.new_users,)] == names


def with_duplicates(rows: int) -> Iterable[UserRow]:
    """Yield made-up users; after each tenth an earlier one again, and after each thousandth one of another age."""
    again = synthetic_users(rows)
    for number, user in enumerate(synthetic_users(rows)):
        yield user
        if number % 10 == 9:
            repeated = next(again)
            yield repeated._replace(age=150) if number % 1000 == 999 else repeated


@pytest.mark.slow
@pytest.mark.parametrize("rows", [40_000, pytest.param(2_000_000, marks=pytest.mark.long)])
@pytest.mark.timeout(1800)
def test_many_rows_with_duplicates(mysql_database: str, tmp_path: Path, rows: int) -> None:
    """All are counted rightly, and memory is that of a small file."""
    settings = {**os.environ, "USERSTREAM_DATABASE_URL": mysql_database}
    used = []
    for size in (20_000, rows):
        path = write(tmp_path / f"{size}.csv", with_duplicates(size))
        seed_users(DatabaseUrl.parse(mysql_database), [])
        execute(mysql_database, "TRUNCATE TABLE user_data")
        done = subprocess.run(
            [*MEASURED, "--csv", str(path)],
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        conflicts, repeated = size // 1000, size // 10
        assert done.returncode == 1
        assert f"{size} users added, {repeated - conflicts} unchanged.\n" in done.stderr
        assert f"{conflicts} x conflict: another age is stored" in done.stderr
        assert count(mysql_database) == size
        used.append(int(done.stdout))

    assert used[1] - used[0] < MOST_MORE_KILOBYTES
