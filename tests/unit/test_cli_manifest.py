"""The manifest beside an export: what it says, and verifying against it without a server."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock
from zlib import crc32

import pytest
from userstream_client.cli._formats import encoder_for
from userstream_client.cli.export import parts
from userstream_testing.command import Ran, run_here
from userstream_testing.exports import IDS, USERS, export
from userstream_testing.scripted_server import ScriptedServer, scan_script

pytestmark = pytest.mark.slow

NAMES = ["u.csv", "u.ndjson", "u.csv.gz", "u.parquet", "u.arrow"]
EQUAL = f"is equal to its manifest: 30 users, CRC-32 {crc32(''.join(IDS).encode())}\n"


def verify(file: Path, *options: str) -> Ran:
    """Verify a file where no server is."""
    return run_here("verify", file.name, *options, "--target", "127.0.0.1:1", cwd=file.parent)


def manifest_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.manifest.json")


@pytest.mark.parametrize("name", NAMES)
def test_what_it_says(name: str, tmp_path: Path) -> None:
    """Count, CRC-32, filter, consistency, times in UTC, format, and the file's size and SHA-256."""
    options = ("--manifest", "--age-up-to", "99", "--consistency", "snapshot")
    file = export(tmp_path, name, *options)
    found = json.loads(manifest_of(file).read_text("utf-8"))
    started, finished = (
        datetime.fromisoformat(found.pop(f"{w}_at")) for w in ("started", "finished")
    )
    found.pop("client_version")
    data = file.read_bytes()

    assert datetime.now(UTC) - timedelta(minutes=1) < started <= finished
    assert timedelta(0) == finished.utcoffset()
    assert {
        "manifest_version": 1,
        "file": name,
        "format": name.split(".")[1],
        "compression": "gzip" if name.endswith("gz") else "none",
        "size_bytes": len(data),
        "sha256": sha256(data).hexdigest(),
        "user_count": 30,
        "user_id_crc32": crc32("".join(IDS).encode()),
        "filter": {"age_over": None, "age_up_to": 99, "name_prefix": "", "email_domain": ""},
        "limit": 0,
        "consistency": "snapshot",
        "partitions": 1,
        "server_version": None,
    } == found
    assert sorted([name, manifest_of(file).name]) == sorted(p.name for p in tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_export(name: str, tmp_path: Path) -> None:
    """It is the default where it is there, and needs no server."""
    file = export(tmp_path, name, "--manifest")

    assert Ran(0, f"{name} {EQUAL}", "") == verify(file)
    assert Ran(0, f"{name} {EQUAL}", "") == verify(file, "--against", "manifest")


def test_a_link(tmp_path: Path) -> None:
    """The manifest lies beside the file that an output points to."""
    (tmp_path / "there").mkdir()
    (tmp_path / "u.csv").symlink_to("there/users.csv")
    file = export(tmp_path, "u.csv", "--manifest")

    assert (tmp_path / "there/users.csv.manifest.json").exists()
    assert 0 == verify(file).code


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"Name 9,", b"Name X,", "the same user_ids in the same order: names, e-mails, ages or"),
        (b"user9@example.com,9\n", b"user9@example.com,9\n" * 2, "damaged: line "),
        (IDS[8].encode() + b",Name 9,user9@example.com,9\n", b"", "users: 29 in the file, 30 in"),
        (IDS[8].encode(), IDS[7].encode(), f"doubled: user 9, {IDS[7]}"),
        (IDS[8].encode(), IDS[6].encode(), f"out of order: user 9, {IDS[6]}"),
        (b"user_id,name,email,age\n", b"", "damaged: its first line is not"),
    ],
)
def test_a_changed_file(old: bytes, new: bytes, says: str, tmp_path: Path) -> None:
    """Any other byte is seen by the SHA-256; the users say as much as they can of what happened."""
    file = export(tmp_path, "u.csv", "--manifest")
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new))
    ran = verify(file)

    assert (1, "") == (ran.code, ran.err)
    assert ran.out.startswith("u.csv differs from its manifest\n")
    assert "SHA-256: the file's differs from the manifest's" in ran.out
    assert says in ran.out


def test_a_file_that_was_compressed_again(tmp_path: Path) -> None:
    """The same users in other bytes differ from the manifest, and the message says what is the same."""
    file = export(tmp_path, "u.csv.gz", "--manifest")
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()), 1))
    ran = verify(file)

    assert 1 == ran.code
    assert "the same user_ids in the same order" in ran.out


@pytest.mark.parametrize(("field", "value"), [("user_count", 31), ("user_id_crc32", 7)])
def test_a_manifest_that_was_edited(field: str, value: int, tmp_path: Path) -> None:
    """Count and CRC-32 are taken from the file's users, not from the SHA-256."""
    file = export(tmp_path, "u.csv", "--manifest")
    found = json.loads(manifest_of(file).read_text("utf-8")) | {field: value}
    manifest_of(file).write_text(json.dumps(found))

    assert 1 == verify(file).code


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"manifest_version": 2}', "null", '{"file": "u.csv", "more": 1}']
)
def test_a_manifest_that_is_none(text: str, tmp_path: Path) -> None:
    """Exit code 2, with what to do; the table can be asked all the same."""
    file = export(tmp_path, "u.csv", "--manifest")
    manifest_of(file).write_text(text)
    ran = verify(file)

    assert (2, "") == (ran.code, ran.out)
    assert "u.csv.manifest.json is damaged or of another version" in ran.err
    assert "--against table" in ran.err
    with ScriptedServer(scan_script(USERS)) as server:
        again = run_here(
            *("verify", "u.csv", "--against", "table", "--target", server.target), cwd=tmp_path
        )
    assert 0 == again.code


@pytest.mark.parametrize("value", [None, "x", 1.5, True])
@pytest.mark.parametrize("field", ["user_count", "size_bytes", "sha256", "format", "filter"])
def test_fields_of_another_type(field: str, value: Any, tmp_path: Path) -> None:
    """They are no reason for a traceback."""
    file = export(tmp_path, "u.csv", "--manifest")
    found = json.loads(manifest_of(file).read_text("utf-8")) | {field: value}
    manifest_of(file).write_text(json.dumps(found))
    ran = verify(file)

    assert ran.code == (1 if (field, value) == ("sha256", "x") else 2)


def test_a_freshness_that_there_is_not(tmp_path: Path) -> None:
    """It is refused as any other damage."""
    file = export(tmp_path, "u.csv", "--manifest")
    found = json.loads(manifest_of(file).read_text("utf-8")) | {"freshness": "fresh"}
    manifest_of(file).write_text(json.dumps(found))

    assert 2 == verify(file).code


def test_none_is_there(tmp_path: Path) -> None:
    """Asking for it by name is bad input then."""
    ran = verify(export(tmp_path, "u.csv"), "--against", "manifest")

    assert (2, "") == (ran.code, ran.out)
    assert "u.csv.manifest.json: No such file" in ran.err


def requests(file: Path, *options: str) -> Sequence[Any]:
    with ScriptedServer(scan_script(USERS)) as server:
        run_here("verify", file.name, *options, "--target", server.target, cwd=file.parent)
    return [call.request for call in server.calls]


def test_the_table_is_asked_with_its_filter(tmp_path: Path) -> None:
    """Filter and limit of the manifest, unless some are given, which also means the table."""
    file = export(tmp_path, "u.csv", "--manifest", "--age-up-to", "99", "--limit", "30")
    (own,) = requests(file, "--against", "table")
    (given,) = requests(file, "--age-over", "5")

    assert (99, 30) == (own.filter.age_up_to, own.limit)
    assert (5, False, 0) == (given.filter.age_over, given.filter.HasField("age_up_to"), given.limit)
    assert 2 == verify(file, "--against", "manifest", "--age-over", "5").code


def test_a_file_that_fails_to_read_back_is_not_published(tmp_path: Path) -> None:
    """With --manifest, what is on disk is read and held against the receipt before it becomes the file."""

    def losing(name: str) -> Any:
        encode = encoder_for(name)
        return lambda columns, rows: encode(columns, list(rows)[:1])

    with (
        ScriptedServer(scan_script(USERS)) as server,
        mock.patch.object(parts, "encoder_for", losing),
    ):
        command = ("export", "--output", "u.csv", "--manifest", "--target", server.target)
        ran = run_here(*command, cwd=tmp_path)

    assert 1 == ran.code
    assert "u.csv was not published, because reading it back failed" in ran.err
    assert not (tmp_path / "u.csv").exists()
    assert not manifest_of(tmp_path / "u.csv").exists()
