"""Exports of a real table, verified against it, on each engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_synthetic
from userstream_server.version import VERSION
from userstream_testing.admin import execute
from userstream_testing.command import Ran, clean_environment, run_here
from userstream_testing.server_process import ServerProcess, serving

pytestmark = pytest.mark.slow

FORMATS = ["u.csv", "u.ndjson", "u.csv.gz", "u.parquet", "u.arrow"]


def command(server: ServerProcess, folder: Path, *arguments: str) -> Ran:
    return run_here(*arguments, "--target", server.target, cwd=folder)


@pytest.mark.parametrize("partitions", ["1", "3"])
def test_every_format(server: ServerProcess, partitions: str, tmp_path: Path) -> None:
    """The whole table in each format is equal to the table and to its manifest."""
    for name in FORMATS:
        export = ("export", "--output", name, "--partitions", partitions, "--manifest")
        assert Ran(0, "", "") == command(server, tmp_path, *export)
        table = command(server, tmp_path, "verify", name, "--against", "table")
        manifest = command(server, tmp_path, "verify", name)

        assert (0, 0) == (table.code, manifest.code), name
        assert table.out.startswith(f"{name} is equal to the table: 1,234 users, CRC-32 ")
        assert manifest.out == table.out.replace("the table", "its manifest")
        found = json.loads((tmp_path / f"{name}.manifest.json").read_text("utf-8"))
        assert (VERSION, int(partitions)) == (found["server_version"], found["partitions"])


def test_a_table_that_has_changed(
    server: ServerProcess, seeded_url: str, users: list[UserRow], tmp_path: Path
) -> None:
    """A row deleted, one changed and one added after the export, each by its id; nobody's e-mail is shown."""
    command(server, tmp_path, "export", "--output", "u.csv")
    deleted, changed = str(users[100][0]), str(users[200][0])
    execute(
        seeded_url,
        f"DELETE FROM user_data WHERE user_id = '{deleted}'",
        f"UPDATE user_data SET email = 'x@y.example' WHERE user_id = '{changed}'",
        "INSERT INTO user_data (user_id, name, email, age)"
        " VALUES ('ffffffff-ffff-4fff-bfff-ffffffffffff', 'n', 'a@b.example', 3)",
    )
    ran = command(server, tmp_path, "verify", "u.csv")

    assert (1, "") == (ran.code, ran.err)
    assert "users: 1,234 in the file, 1,234 in the table" in ran.out
    assert f"extra: 1, first {deleted}" in ran.out
    assert f"changed: 1, first {changed} (email)" in ran.out
    assert "missing: 1, first ffffffff-ffff-4fff-bfff-ffffffffffff" in ran.out
    assert "@" not in ran.out


def test_a_filter(server: ServerProcess, tmp_path: Path) -> None:
    """The manifest's own filter is used; another one shows at once."""
    command(server, tmp_path, "export", "--output", "u.csv", "--age-over", "60", "--manifest")
    same = command(server, tmp_path, "verify", "u.csv", "--against", "table")
    other = command(server, tmp_path, "verify", "u.csv", "--age-over", "59")

    assert (0, 1) == (same.code, other.code)
    assert "is equal to the table (age over 60)" in same.out
    assert "missing: " in other.out


# Not getrusage: a new process inherits its parent's peak there.
PROGRAM = """
import sys
from pathlib import Path
from userstream_client.cli import main
try:
    main()
finally:
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")), file=sys.stderr)
"""


def peaks_mib(rows: int, folder: Path) -> dict[str, int]:
    """Return the most memory that verifying an export of so many users takes, by format."""
    url = f"sqlite:///{folder}/users.db"
    peaks = {}
    seed_synthetic(DatabaseUrl.parse(url), rows)
    with serving(url, folder) as server:
        for name in FORMATS:
            assert 0 == command(server, folder, "export", "--output", name).code
        execute(url, "DELETE FROM user_data WHERE age % 10 = 3")
        for name in FORMATS:
            ran = subprocess.run(
                [sys.executable, "-c", PROGRAM, "verify", name, "--target", server.target],
                cwd=folder,
                env=clean_environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert (1, True) == (ran.returncode, "extra: " in ran.stdout)
            peaks[name] = int(ran.stderr) // 1024
    return peaks


@pytest.mark.long
@pytest.mark.timeout(900)
def test_memory_stays_flat(tmp_path: Path) -> None:
    """Three row groups of a Parquet file take hardly more memory than one, where each difference is counted too."""
    small, large = (peaks_mib(rows, tmp_path) for rows in (100_000, 300_000))

    assert {} == {name: peak for name, peak in large.items() if peak - small[name] > 40}
