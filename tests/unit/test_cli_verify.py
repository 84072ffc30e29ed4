"""`userstream verify`: an export against the table, whatever happened to the file."""

from pathlib import Path
from zlib import crc32

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.command import Ran, run_here
from userstream_testing.exports import IDS, USERS, export, verify
from userstream_testing.scripted_server import made_users

pytestmark = pytest.mark.slow

NAMES = ["u.csv", "u.ndjson", "u.csv.gz", "u.parquet", "u.arrow"]


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_export(name: str, tmp_path: Path) -> None:
    """Every format is read back to the last user; one line with count and CRC-32; exit code 0."""
    ran = verify(export(tmp_path, name))
    crc = crc32("".join(IDS).encode())

    assert Ran(0, f"{name} is equal to the table: 30 users, CRC-32 {crc}\n", "") == ran


@pytest.mark.parametrize("name", NAMES)
def test_an_export_without_users(name: str, tmp_path: Path) -> None:
    """A file that holds nobody, and a table that does."""
    file = export(tmp_path, name, users=[])

    assert 0 == verify(file, users=[]).code
    ran = verify(file)
    assert 1 == ran.code
    assert f"missing: 30, first {IDS[0]}" in ran.out


@pytest.mark.parametrize("name", NAMES)
def test_the_table_has_changed(name: str, tmp_path: Path) -> None:
    """Users that were added, removed or changed since are named, each kind with its number and its first."""
    file = export(tmp_path, name)
    now = [pb.User.FromString(user.SerializeToString()) for user in USERS[2:]]
    now[5].email = "other@example.com"
    now[9].age += 1
    now[9].name = "Other"
    now += made_users(3, first=31)
    ran = verify(file, users=now)

    assert (1, "") == (ran.code, ran.err)
    assert "users: 30 in the file, 31 in the table" in ran.out
    assert "missing: 3, first 00000000-0000-4000-8000-000000000031" in ran.out
    assert f"extra: 2, first {IDS[0]}" in ran.out
    assert f"changed: 2, first {IDS[7]} (email)" in ran.out
    assert "other@example.com" not in ran.out


def test_the_wrong_filter(tmp_path: Path) -> None:
    """The users of another filter are named, and so is the filter that the file was held against."""
    file = export(tmp_path, "u.csv", users=[user for user in USERS if user.age > 10])
    over_20 = [user for user in USERS if user.age > 20]
    ran = verify(file, "--age-over", "20", users=over_20)

    assert ran.out.startswith("u.csv differs from the table (age over 20)\n")
    assert f"extra: 10, first {IDS[10]}" in ran.out


@pytest.mark.parametrize("per_message", [1, 7, 29, 30, 31])
def test_the_first_difference_is_found_anywhere(per_message: int, tmp_path: Path) -> None:
    """Wherever a message ends."""
    file = export(tmp_path, "u.csv")
    for index in (0, 6, 7, 28, 29):
        ran = verify(file, users=USERS[:index] + USERS[index + 1 :], per_message=per_message)

        assert f"extra: 1, first {IDS[index]}" in ran.out


@pytest.mark.parametrize(
    ("name", "begins"), [("u.csv", b"user_id,"), ("u.ndjson", b"{"), ("u.csv.gz", b"\x1f\x8b")]
)
def test_the_first_bytes_decide_where_the_name_does_not(
    name: str, begins: bytes, tmp_path: Path
) -> None:
    """For files such as `users.out`."""
    file = export(tmp_path, name).rename(tmp_path / "users.out")

    assert file.read_bytes().startswith(begins)
    assert 0 == verify(file).code


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("verify",), "FILE"),
        (("verify", "missing.csv"), "cannot read missing.csv: No such file"),
        (("verify", "."), "cannot read .: Is a directory"),
        (("verify", "odd.bin"), "does not look like an export"),
        (("verify", "odd.bin", "--against", "manifest"), "cannot read"),
        (("verify", "odd.bin", "--against", "moon"), "moon"),
        (("verify", "odd.bin", "--format", "xml"), "xml"),
    ],
)
def test_usage(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """Exit code 2: nothing was compared."""
    (tmp_path / "odd.bin").write_bytes(b"\x00\x01")
    ran = run_here(*arguments, cwd=tmp_path)

    assert (2, "") == (ran.code, ran.out)
    assert says in ran.err
