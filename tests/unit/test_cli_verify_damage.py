"""What can happen to a file of users: `userstream verify` must see it, and say where."""

import gzip
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from userstream_client.cli.verify import differences
from userstream_testing.exports import IDS, export, needs_zstd, verify

pytestmark = pytest.mark.slow

LINES = ["u.csv", "u.ndjson"]
Damage = Callable[[Path], None]


def rewrite(change: Callable[[list[bytes]], list[bytes]]) -> Damage:
    """Return damage that changes the file's lines."""

    def damage(file: Path) -> None:
        file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))

    return damage


def drop(index: int) -> Damage:
    return rewrite(lambda lines: [line for n, line in enumerate(lines) if n != index % len(lines)])


def double(index: int) -> Damage:
    return rewrite(lambda lines: [*lines[:index], lines[index], *lines[index:]])


def rewrite_bytes(change: Callable[[bytes], bytes]) -> Damage:
    """Return damage that changes the file's bytes."""

    def damage(file: Path) -> None:
        file.write_bytes(change(file.read_bytes()))

    return damage


def replace(old: str, new: str) -> Damage:
    return rewrite_bytes(lambda data: data.replace(old.encode(), new.encode()))


def cut(count: int) -> Damage:
    return rewrite_bytes(lambda data: data[:-count])


def append(more: bytes) -> Damage:
    return rewrite_bytes(lambda data: data + more)


DAMAGES: list[tuple[str, Damage, str]] = [
    ("line lost", drop(10), "missing: 1, first "),
    ("last line lost", drop(-1), f"missing: 1, first {IDS[-1]}"),
    ("line doubled", double(10), "doubled: 1, first "),
    ("last line doubled", double(-1), f"doubled: 1, first {IDS[-1]}"),
    (
        "line doubled far away",
        rewrite(lambda lines: [*lines, lines[12]]),
        "doubled: 1, first ",
    ),
    ("name edited", replace("Name 9", "Name X"), f"changed: 1, first {IDS[8]} (name)"),
    ("e-mail edited", replace("user9@", "user8@"), f"changed: 1, first {IDS[8]} (email)"),
    ("id edited", replace(IDS[8], IDS[8].replace("-4", "-5")), f"missing: 1, first {IDS[8]}"),
    (
        "two lines swapped",
        rewrite(lambda lines: [*lines[:-2], lines[-1], lines[-2]]),
        f"out of order: 1, first {IDS[-2]}",
    ),
    (
        "another order",
        rewrite(lambda lines: [lines[0], *lines[:0:-1]]),
        "out of order: ",
    ),
    ("zeros at the end", append(b"\0" * 5000), "is cut off"),
    ("garbage at the end", append(b"garbage\n"), "is not a user"),
    ("empty line at the end", append(b"\n"), "is not a user"),
    ("last byte lost", cut(1), "is cut off"),
    ("half a line lost", cut(20), "is cut off"),
    ("emptied", lambda file: os.truncate(file, 0), "missing: 30, first "),
]


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize(("what", "damage", "says"), DAMAGES, ids=[what for what, *_ in DAMAGES])
def test_damaged_lines(name: str, what: str, damage: Damage, says: str, tmp_path: Path) -> None:
    """Exit code 1, and what is wrong with it."""
    damage(file := export(tmp_path, name))
    ran = verify(file)

    assert (1, "") == (ran.code, ran.err), what
    assert ran.out.startswith(f"{name} differs from the table\n")
    assert says in ran.out


@pytest.mark.parametrize("name", LINES)
def test_bytes_that_are_no_text(name: str, tmp_path: Path) -> None:
    """The line is named."""
    file = export(tmp_path, name)
    file.write_bytes(file.read_bytes().replace("🦊".encode(), b"\xff\xfe"))
    ran = verify(file)

    assert 1 == ran.code
    assert "is not UTF-8" in ran.out


@pytest.mark.parametrize("name", LINES)
def test_zeros_in_the_middle(name: str, tmp_path: Path) -> None:
    """As two overlapping writers left them; a line without an end does not fill the memory."""
    file = export(tmp_path, name)
    data = file.read_bytes()
    file.write_bytes(data[:1000] + b"\0" * 9_000_000 + data[1000:])
    ran = verify(file)

    assert 1 == ran.code
    assert "damaged: line " in ran.out
    assert "missing: " in ran.out


def test_a_lost_heading(tmp_path: Path) -> None:
    """The first user must not pass for it."""
    drop(0)(file := export(tmp_path, "u.csv"))
    ran = verify(file)

    assert 1 == ran.code
    assert "damaged: its first line is not user_id,name,email,age" in ran.out


def test_a_second_heading(tmp_path: Path) -> None:
    """As from two files that were joined."""
    rewrite(lambda lines: [*lines[:9], lines[0], *lines[9:]])(file := export(tmp_path, "u.csv"))

    assert "is not a user" in verify(file).out


@pytest.mark.parametrize("age", ["", "x", "1.5", "09", " 9", "1_0", "9" * 5000, "\u0669"])
def test_an_age_that_is_no_number(age: str, tmp_path: Path) -> None:
    """What Python would take for a number need not be one."""
    replace("user9@example.com,9\n", f"user9@example.com,{age}\n")(
        file := export(tmp_path, "u.csv")
    )

    assert "damaged: line 11 " in verify(file).out


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        '{"user_id":"a"}',
        '{"user_id":"a","name":"b","email":"c","age":"1"}',
        '{"user_id":"a","name":"b","email":"c","age":true}',
        '{"user_id":"a","name":null,"email":"c","age":1}',
        '{"user_id":"\\ud800","name":"b","email":"c","age":1}',
        '{"name":"b","user_id":"a","email":"c","age":1}',
        "[" * 100_000,
    ],
)
def test_lines_that_are_no_users(line: str, tmp_path: Path) -> None:
    """Well-formed JSON or not."""
    append(line.encode() + b"\n")(file := export(tmp_path, "u.ndjson"))

    assert "damaged: line 31 is not a user" in verify(file).out


@pytest.mark.parametrize("name", ["u.csv.gz", pytest.param("u.csv.zst", marks=needs_zstd)])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut(1), "cut off"),
        (cut(100), "cut off"),
        (append(b"\0"), "damaged"),
        (append(b"\0" * 512), "damaged"),
        (append(b"garbage"), "damaged"),
        (lambda file: os.truncate(file, 0), "cut off"),
    ],
)
def test_damaged_compression(name: str, damage: Damage, says: str, tmp_path: Path) -> None:
    """A cut, zeros and garbage, some of which other readers pass over."""
    damage(file := export(tmp_path, name))
    ran = verify(file)

    assert 1 == ran.code
    assert says in ran.out


def test_a_further_member(tmp_path: Path) -> None:
    """What follows as valid gzip is read: users too many, or nothing."""
    file = export(tmp_path, "u.csv.gz")
    append(gzip.compress(b""))(file)
    assert 0 == verify(file).code
    append(gzip.compress(b"more\n"))(file)

    assert "is not a user" in verify(file).out


@pytest.mark.parametrize("name", ["u.parquet", "u.arrow"])
@pytest.mark.parametrize(
    "damage", [cut(1), cut(300), append(b"\0"), append(b"garbage"), replace("user_id", "user_ix")]
)
def test_damaged_columns(name: str, damage: Damage, tmp_path: Path) -> None:
    """Both formats have their index at the end."""
    damage(file := export(tmp_path, name))
    ran = verify(file)

    assert (1, "") == (ran.code, ran.err)
    assert "damaged: it" in ran.out


def test_no_room_to_say_how(tmp_path: Path) -> None:
    """A full temporary folder is no traceback, and never equality."""
    drop(3)(file := export(tmp_path, "u.csv"))
    with mock.patch.object(differences.Differences, "found", side_effect=sqlite3.OperationalError):
        ran = verify(file)

    assert 1 == ran.code
    assert "differs, but there is no room to say how" in ran.err
