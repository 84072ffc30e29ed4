"""Formats and compressions of exports: from options or the name, to files and to standard output."""

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import grpc
import pytest
from userstream_client.cli import _compression
from userstream_client.cli.export import parts
from userstream_testing.command import Ran, run_here
from userstream_testing.exports import needs_zstd
from userstream_testing.scripted_server import (
    Fail,
    ScriptedServer,
    made_users,
    scan_script,
)

pytestmark = pytest.mark.slow

USERS = made_users(9)
CSV = "".join(
    ["user_id,name,email,age\n", *(f"{u.user_id},{u.name},{u.email},{u.age}\n" for u in USERS)]
).encode()
AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "The database is away.", reason="DATABASE_AWAY")


def export(server: ScriptedServer, folder: Path, name: str, *options: str) -> Ran:
    return run_here("export", "--output", name, "--target", server.target, *options, cwd=folder)


def unzstd(data: bytes) -> bytes:
    """Return the data of all frames."""
    zstandard = pytest.importorskip("zstandard")
    whole: bytes = (
        zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    )
    return whole


UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": unzstd}
BOTH = ["gzip", pytest.param("zstd", marks=needs_zstd)]


@pytest.mark.parametrize(
    ("name", "options", "style", "packed"),
    [
        ("q.csv", (), "csv", ""),
        ("q.ndjson", (), "ndjson", ""),
        ("Q.JSONL", (), "ndjson", ""),
        ("q.out", (), "csv", ""),
        ("q", (), "csv", ""),
        ("q.csv", ("--format", "ndjson"), "ndjson", ""),
        ("q.csv.gz", (), "csv", "gzip"),
        ("q.ndjson.gz", (), "ndjson", "gzip"),
        ("q.gz", ("--format", "ndjson"), "ndjson", "gzip"),
        ("q.csv", ("--compress", "gzip"), "csv", "gzip"),
        ("q.csv", ("--compress", "none"), "csv", ""),
        pytest.param("q.ndjson.zst", (), "ndjson", "zstd", marks=needs_zstd),
        ("q.parquet", (), "parquet", ""),
        ("q.arrow", (), "arrow", ""),
        ("q.feather", (), "arrow", ""),
    ],
)
def test_the_name_decides(
    name: str, options: tuple[str, ...], style: str, packed: str, tmp_path: Path
) -> None:
    """What --format and --compress leave open, the endings of the name say; csv where they say nothing."""
    with ScriptedServer(scan_script(USERS)) as server:
        ran = export(server, tmp_path, name, *options)
    data = (tmp_path / name).read_bytes()
    data = UNPACK[packed](data) if packed else data

    assert (0, "") == (ran.code, ran.err)
    begins = {"csv": b"user_id,", "ndjson": b'{"user_id":', "parquet": b"PAR1", "arrow": b"ARROW1"}
    assert data.startswith(begins[style])


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("q.csv.gz", ("--compress", "zstd"), "does not go with the name q.csv.gz"),
        ("q.csv.gz", ("--compress", "none"), "does not go with the name q.csv.gz"),
        ("q.parquet.gz", (), "compressed inside"),
        ("q.parquet", ("--compress", "gzip"), "compressed inside"),
        ("q.arrow", ("--compress", "gzip"), "compressed inside"),
        ("-", ("--resume",), "--resume does not go with --output -"),
        ("-", ("--partitions", "2"), "--partitions does not go with --output -"),
        ("-", ("--manifest",), "--manifest does not go with --output -"),
        ("-", ("--format", "parquet"), "--format parquet does not go with --output -"),
    ],
)
def test_what_does_not_go_together(
    name: str, options: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    """Exit code 2 before any call, with what to change."""
    with ScriptedServer() as server:
        ran = export(server, tmp_path, name, *options)

    assert (2, "", []) == (ran.code, ran.out, server.calls)
    assert says in ran.err
    assert [] == list(tmp_path.iterdir())


def test_zstd_without_its_package(tmp_path: Path) -> None:
    """The message names the extra to install, and what works without it."""
    with (
        ScriptedServer() as server,
        mock.patch.object(_compression, "find_spec", return_value=None),
        mock.patch.object(sys, "version_info", (3, 13, 0)),
    ):
        ran = export(server, tmp_path, "q.csv.zst")

    assert (2, []) == (ran.code, server.calls)
    assert "pip install 'userstream[zstd]', or use gzip" in ran.err


@pytest.mark.parametrize("packed", BOTH)
def test_a_compressed_export_is_continued(packed: str, tmp_path: Path) -> None:
    """Each save ends a member: the file is cut there and continued by --resume, and reads as one."""
    broken = scan_script(USERS, AWAY, messages=3)
    with (
        ScriptedServer(broken, scan_script(USERS)) as server,
        mock.patch.object(parts, "_SAVE_SECONDS", 0),
    ):
        options = ("--compress", packed)
        first = export(server, tmp_path, "q.csv", *options, "--no-resume")
        with (tmp_path / ".q.csv.part-0").open("ab") as part:
            part.write(b"half a member that no checkpoint knows of")
        second = export(server, tmp_path, "q.csv", *options, "--resume")

    assert (1, 0) == (first.code, second.code)
    assert "6 users (" in first.err
    assert "after:6" == server.calls[1].request.resume_token
    assert CSV == UNPACK[packed]((tmp_path / "q.csv").read_bytes())
    assert ["q.csv"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("packed", BOTH)
def test_a_compressed_part_that_was_changed(packed: str, tmp_path: Path) -> None:
    """The state's checksum is that of the compressed bytes."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=3)) as server:
        export(server, tmp_path, "q.csv", "--compress", packed, "--no-resume")
        part = tmp_path / ".q.csv.part-0"
        data = bytearray(part.read_bytes())
        data[-3] ^= 1
        part.write_bytes(data)
        ran = export(server, tmp_path, "q.csv", "--compress", packed, "--resume")

    assert 1 == ran.code
    assert "was changed" in ran.err


@pytest.mark.parametrize("packed", BOTH)
@pytest.mark.parametrize(
    ("style", "expected"), [("csv", b"user_id,name,email,age\n"), ("ndjson", b"")]
)
def test_a_compressed_file_without_users(
    packed: str, style: str, expected: bytes, tmp_path: Path
) -> None:
    """It is a member too, which other programs can read."""
    with ScriptedServer(scan_script([])) as server:
        ran = export(server, tmp_path, "q", "--compress", packed, "--format", style)

    assert 0 == ran.code
    assert expected == UNPACK[packed]((tmp_path / "q").read_bytes())
    assert (tmp_path / "q").stat().st_size > 0


@pytest.mark.parametrize("packed", BOTH)
def test_the_system_s_own_program_reads_it(packed: str, tmp_path: Path) -> None:
    """Members one after another are one file to gzip and zstd."""
    with (
        ScriptedServer(scan_script(USERS)) as server,
        mock.patch.object(parts, "_SAVE_SECONDS", 0),
    ):
        export(server, tmp_path, "q.csv", "--compress", packed)
    try:
        ran = subprocess.run(
            [packed, "-dc"],
            input=(tmp_path / "q.csv").read_bytes(),
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip(f"no {packed} here")

    assert CSV == ran.stdout
