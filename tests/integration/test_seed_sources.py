"""Where a CSV file may come from, as the command reads it, and what it says about files that do not fit."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from userstream_testing.admin import execute
from userstream_testing.repository import ROOT

pytestmark = pytest.mark.slow  # starts a process per test

COMMAND = (sys.executable, "-m", "userstream_server", "seed")
SCRIPT = (sys.executable, str(ROOT / "scripts" / "seed.py"))
CSV = b"name,email,age\nAnn,a@x.com,1\nBob,b@x.com,2\n"


def run(
    folder: Path, *arguments: str, stdin: bytes = b"", command: tuple[str, ...] = COMMAND
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command in a folder."""
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
        timeout=100,
    )


def stored(folder: Path) -> list[str]:
    url = f"sqlite:///{folder}/userstream.db"
    return [name for (name,) in execute(url, "SELECT name FROM user_data ORDER BY name")]


def test_a_compressed_file(tmp_path: Path) -> None:
    """A name that ends in .gz is decompressed; its rejects stand beside it."""
    (tmp_path / "u.csv.gz").write_bytes(gzip.compress(CSV + b"C,,3\n"))
    done = run(tmp_path, "--csv", "u.csv.gz")

    assert done.returncode == 1
    assert done.stderr.startswith(
        b"2 users added, 0 unchanged.\n1 rows rejected; u.csv.gz.rejects.csv"
    )
    assert ["Ann", "Bob"] == stored(tmp_path)


def test_standard_input(tmp_path: Path) -> None:
    """`-` is standard input, for scripts/seed.py too; its rejects go to the current folder."""
    first = run(tmp_path, "--csv", "-", stdin=CSV)
    again = run(tmp_path, "--csv", "-", stdin=CSV.replace(b"1", b"3"), command=SCRIPT)

    assert (0, b"2 users added, 0 unchanged.\n") == (first.returncode, first.stderr)
    assert again.returncode == 1
    assert b"1 rows rejected; users.rejects.csv lists them" in again.stderr
    assert b"--update" in again.stderr


def test_update(tmp_path: Path) -> None:
    """--update replaces what differs and says how many."""
    run(tmp_path, "--csv", "-", stdin=CSV)
    done = run(tmp_path, "--update", "--csv", "-", stdin=CSV.replace(b"Bob", b"Bo"))

    assert (0, b"0 users added, 1 updated, 1 unchanged.\n") == (done.returncode, done.stderr)
    assert ["Ann", "Bo"] == stored(tmp_path)


def test_a_compressed_file_on_standard_input(tmp_path: Path) -> None:
    """There is no name to go by: the message says how to pipe it."""
    done = run(tmp_path, "--csv", "-", stdin=gzip.compress(CSV))

    assert done.returncode == 2
    assert b"gunzip -c FILE" in done.stderr


def test_a_compressed_file_that_is_cut_off(tmp_path: Path) -> None:
    """Never exit code 0: the users before the end are stored, and the message says so."""
    rows = b"".join(b"A,a%d@x.com,%d\n" % (n, n) for n in range(50_000))
    whole = gzip.compress(b"name,email,age\n" + rows)
    (tmp_path / "u.csv.gz").write_bytes(whole[: len(whole) // 2])
    done = run(tmp_path, "--csv", "u.csv.gz")

    assert done.returncode == 1
    assert b"damaged or cut off" in done.stderr
    assert b"Traceback" not in done.stderr
    assert 0 < len(stored(tmp_path)) < 50_000


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    """Exit code 2, the cause and the first line, and no database is made."""
    (tmp_path / "u.csv").write_bytes(CSV.replace(b",", b";"))
    done = run(tmp_path, "--csv", "u.csv")

    assert done.returncode == 2
    assert b"separated by semicolons" in done.stderr
    assert b"seed: first line: name;email;age\n" in done.stderr
    assert ["u.csv"] == [path.name for path in tmp_path.iterdir()]


def test_user_id_in_the_header_alone(tmp_path: Path) -> None:
    """A header that names user_id over rows without it is explained, and the rows are counted by reason."""
    rows = b"A,a@x.com,1\nB,b@x.com,2\nC,,3\nD,d@x.com\n"
    done = run(tmp_path, "--csv", "-", stdin=b"user_id,name,email,age\n" + rows)

    assert done.returncode == 1
    assert b"  2 x the header names user_id, and the row has no value for it\n" in done.stderr
    assert b"  1 x 3 columns instead of 4\n  1 x 2 columns instead of 4\n" in done.stderr
    assert b"remove user_id from its first line" in done.stderr


def test_both_commands_have_the_same_options(tmp_path: Path) -> None:
    """`userstream-server seed` is what scripts/seed.py runs."""
    usage, *ours = run(tmp_path, "--help").stdout.splitlines()
    _, *theirs = run(tmp_path, "--help", command=SCRIPT).stdout.splitlines()

    assert b"seed [OPTIONS]" in usage
    assert b"  --update" in b"\n".join(ours)
    assert theirs == ours


@pytest.mark.parametrize("option", [("--check",), ("--workers", "2")])
def test_the_server_s_options_do_not_go_with_it(tmp_path: Path, option: tuple[str, ...]) -> None:
    """What could not be heeded is refused."""
    done = run(tmp_path, "seed", "--sample", command=(*COMMAND[:-1], *option))

    assert done.returncode == 2
    assert [] == list(tmp_path.iterdir())
