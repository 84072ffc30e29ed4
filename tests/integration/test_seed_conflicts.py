"""Rows that a key forbids: the same again is unchanged, anything else is a conflict or, if asked for, an update."""

import csv
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import SeedReport, seed_csv, seed_users
from userstream_testing.admin import execute

pytestmark = pytest.mark.slow

KEYS = [f"0b0e0a36-5d6c-4a4f-8f0e-{n:012d}" for n in range(6000)]
STORED = "SELECT user_id, name, email, age FROM user_data ORDER BY user_id"
TAKEN = "conflict: another user has its e-mail, or another value that the table keeps unique"


def other(names: str) -> str:
    return f"conflict: another {names} is stored for this user_id"


def stored(url: str) -> list[UserRow]:
    return [UserRow(i, n, e, int(a)) for i, n, e, a in execute(url, STORED)]


def seed(url: str, path: Path, text: str, *, update: bool = False, batch: int = 1000) -> SeedReport:
    path.write_text(text, encoding="utf-8")
    return seed_csv(DatabaseUrl.parse(url), path, update=update, batch_rows=batch)


def counts(report: SeedReport) -> tuple[int, int, int, int]:
    return (
        report.new_users,
        report.unchanged_users,
        report.updated_users,
        report.rejected_rows,
    )


def rejects_of(report: SeedReport) -> list[list[str]]:
    assert report.rejects is not None
    with report.rejects.open(encoding="utf-8", newline="") as file:
        return sorted(list(csv.reader(file))[1:], key=lambda row: int(row[0]))


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_two_people_with_one_address(database_url: str, tmp_path: Path, batch: int) -> None:
    """Without user_id the address is the key: the second person is rejected, not dropped as known."""
    text = "name,email,age\nAnn,x@x.com,1\nBob,x@x.com,2\nAnn,x@x.com,1\nCy,c@x.com,3\n"
    report = seed(database_url, tmp_path / "u.csv", text, batch=batch)

    assert (2, 1, 0, 1) == counts(report)
    assert [["3", other("name and age"), "Bob", "x@x.com", "2"]] == rejects_of(report)
    assert ["Ann", "Cy"] == sorted(user.name for user in stored(database_url))


def test_an_edited_file(database_url: str, tmp_path: Path) -> None:
    """What differs from the table is a conflict; with update it is written; then nothing is left to do."""
    path, head = tmp_path / "u.csv", "user_id,name,email,age,city\n"
    seed(database_url, path, f"{head}{KEYS[1]},Ann,a@x.com,1,\n{KEYS[2]},Bob,b@x.com,2,\n")
    edited = f"{head}{KEYS[1]},Ann,a@x.com,1,\n{KEYS[2].upper()},Bo,b@x.com,3,Oslo\n"
    refused = seed(database_url, path, edited)
    assert (0, 1, 0, 1) == counts(refused)
    assert [
        ["3", other("name and age"), KEYS[2].upper(), "Bo", "b@x.com", "3", "Oslo"]
    ] == rejects_of(refused)

    assert (0, 1, 1, 0) == counts(seed(database_url, path, edited, update=True))
    assert (0, 2, 0, 0) == counts(seed(database_url, path, edited, update=True))
    assert UserRow(KEYS[2], "Bo", "b@x.com", 3) == stored(database_url)[1]


def unique_emails(url: str) -> None:
    seed_users(DatabaseUrl.parse(url), [])
    execute(url, "CREATE UNIQUE INDEX one_email ON user_data (email)")


def test_a_table_with_unique_addresses(database_url: str, tmp_path: Path) -> None:
    """A new user_id with another user's address is a conflict, with update too; that other user stays as it is."""
    unique_emails(database_url)
    text = f"user_id,name,email,age\n{KEYS[1]},Ann,a@x.com,1\n{KEYS[2]},Bob,a@x.com,2\n"
    for update in (False, True):
        report = seed(database_url, tmp_path / "u.csv", text, update=update)
        assert {TAKEN: 1} == report.reasons
        assert [UserRow(KEYS[1], "Ann", "a@x.com", 1)] == stored(database_url)


def test_an_update_that_takes_another_user_s_address(database_url: str, tmp_path: Path) -> None:
    """One such row among thousands is rejected; the others are updated."""
    unique_emails(database_url)
    users = [UserRow(key, "A", f"{n}@x.com", 1) for n, key in enumerate(KEYS)]
    seed_users(DatabaseUrl.parse(database_url), users)
    changed = [user._replace(name="B") for user in users]
    changed[3210] = changed[3210]._replace(email="5@x.com")
    lines = "".join(f"{','.join(map(str, user))}\n" for user in changed)
    report = seed(
        database_url,
        tmp_path / "u.csv",
        f"user_id,name,email,age\n{lines}",
        update=True,
        batch=10_000,
    )

    assert (0, 0, 5999, 1) == counts(report)
    assert [["3212", TAKEN, *map(str, changed[3210])]] == rejects_of(report)
    assert [*changed[:3210], users[3210], *changed[3211:]] == stored(database_url)


def test_rejects_and_conflicts_in_one_file(database_url: str, tmp_path: Path) -> None:
    """Each is listed with the line on which it stands."""
    text = "name,email,age\nA,a@x.com,1\n\nB,b@x.com,x\nC,a@x.com,1\n"
    report = seed(database_url, tmp_path / "u.csv", text)

    assert ["4", "5"] == [line for line, *_ in rejects_of(report)]


def model(users: Iterable[UserRow], table: dict[str, UserRow], *, update: bool) -> list[int]:
    """Seed row by row; return how many are new, unchanged, updated and in conflict."""
    new = unchanged = updated = conflicts = 0
    for user in users:
        now = table.setdefault(user.user_id, user)
        if now is user:
            new += 1
        elif now == user:
            unchanged += 1
        elif update:
            table[user.user_id] = user
            updated += 1
        else:
            conflicts += 1
    return [new, unchanged, updated, conflicts]


def test_any_mix_of_rows(database_url: str, tmp_path: Path) -> None:
    """Whatever repeats or differs, in whatever batches: the same counts and the same table as row by row."""
    dice = random.Random(5)
    table: dict[str, UserRow] = {}
    for number in range(40):
        rows = [
            UserRow(dice.choice(KEYS[:60]), dice.choice("ABa"), dice.choice(["e@x.com", "f@x.com"]), dice.randint(1, 2))
            for _ in range(dice.randint(1, 50))
        ]  # fmt: skip
        update = bool(number % 2)
        lines = "".join(f"{','.join(map(str, user))}\n" for user in rows)
        report = seed(
            database_url,
            tmp_path / "u.csv",
            f"user_id,name,email,age\n{lines}",
            update=update,
            batch=dice.choice([1, 3, 10, 100]),
        )

        assert model(rows, table, update=update) == list(counts(report))
        assert sorted(table.values()) == stored(database_url)


def test_keys_that_are_stored_in_another_case(mysql_database: str, tmp_path: Path) -> None:
    """A table of one's own, with a collation that ignores case, has the same users under upper-case keys."""
    seed_users(DatabaseUrl.parse(mysql_database), [])
    execute(
        mysql_database,
        "ALTER TABLE user_data MODIFY user_id VARCHAR(36) CHARACTER SET utf8mb4"
        " COLLATE utf8mb4_general_ci NOT NULL",
    )
    key = KEYS[1].upper()
    execute(mysql_database, f"INSERT INTO user_data VALUES ('{key}', 'Ann', 'a@x.com', 1)")
    path, head = tmp_path / "u.csv", "user_id,name,email,age\n"
    same = seed(mysql_database, path, f"{head}{KEYS[1]},Ann,a@x.com,1\n")
    changed = seed(mysql_database, path, f"{head}{KEYS[1]},Bob,a@x.com,1\n", update=True)

    assert ((0, 1, 0, 0), (0, 0, 1, 0)) == (counts(same), counts(changed))
    assert [UserRow(key, "Bob", "a@x.com", 1)] == stored(mysql_database)


def test_another_unique_key_before_ours(mysql_database: str, tmp_path: Path) -> None:
    """Where the e-mail is the primary key and user_id is unique, an update never writes another user's row."""
    seed_users(DatabaseUrl.parse(mysql_database), [])
    execute(
        mysql_database,
        "ALTER TABLE user_data DROP PRIMARY KEY, ADD PRIMARY KEY (email), ADD UNIQUE (user_id)",
    )
    path, head = tmp_path / "u.csv", "user_id,name,email,age\n"
    seed(mysql_database, path, f"{head}{KEYS[1]},Ann,a@x.com,1\n{KEYS[2]},Bob,b@x.com,2\n")
    before = stored(mysql_database)
    report = seed(mysql_database, path, f"{head}{KEYS[1]},Eve,b@x.com,9\n", update=True)

    assert {TAKEN: 1} == report.reasons
    assert before == stored(mysql_database)
