"""scripts/seed.py as people and other programs run it."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from userstream_testing.admin import execute
from userstream_testing.repository import ROOT

pytestmark = pytest.mark.slow  # starts a process per test

SCRIPT = str(ROOT / "scripts" / "seed.py")
COMMAND = [sys.executable, SCRIPT]


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with nothing of userstream's but these."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith("USERSTREAM_")}, **settings}


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run the command in a folder."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        check=False,
        timeout=100,
    )


def test_a_pipe_is_a_file_too(tmp_path: Path) -> None:
    """Users come from standard input, rejects go to the current folder, and no bar is drawn."""
    done = run(tmp_path, "--csv", "/dev/stdin", stdin=b"name,email,age\nA,a@x.com,1\nB,,2\n")

    assert (1, b"") == (done.returncode, done.stdout)
    assert done.stderr == (
        b"1 users added, 0 unchanged.\n1 rows rejected; users.rejects.csv lists them:\n  1 x email is missing\n"
    )
    assert b"3,email is missing,B,,2" in (tmp_path / "users.rejects.csv").read_bytes()


def test_the_database_comes_from_dotenv(tmp_path: Path) -> None:
    """A .env file in the current folder names the database."""
    (tmp_path / ".env").write_text("USERSTREAM_DATABASE_URL=sqlite:///named.db\n")
    done = run(tmp_path, "--sample")

    assert done.returncode == 0
    assert execute(f"sqlite:///{tmp_path}/named.db", "SELECT COUNT(*) FROM user_data") == [(1000,)]


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    """Where standard error is a terminal, progress, rate and time left are shown up to the end."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--rows", "20000"],
        cwd=tmp_path,
        env=environment(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65_536):
                shown += piece
        except OSError:  # Linux says so when the other end is closed
            pass
        os.close(ours)

    assert process.returncode == 0
    assert b"100%" in shown
    assert b" users/s" in shown
    assert "✓ 20000 users added".encode() in shown


def test_ctrl_c(tmp_path: Path) -> None:
    """Exit code 130 and a line that says what is stored; whole batches stay, and seeding again adds the rest."""
    with subprocess.Popen(
        [*COMMAND, "--rows", "100000000", "--batch-rows", "100"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
    ) as process:
        url, count = f"sqlite:///{tmp_path}/userstream.db", "SELECT COUNT(*) FROM user_data"
        path = tmp_path / "userstream.db"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not path.exists() or path.stat().st_size < 100_000):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    ((users,),) = execute(url, count)
    assert process.returncode == 130
    found = re.fullmatch(
        rb"seed: interrupted; at least ([\d,]+) users are stored\. To resume, run the same command again: it"
        rb" skips what is stored\n",
        errors,
    )
    assert found, errors
    assert users - 100 <= int(found[1].replace(b",", b"")) <= users
    assert users > 0
    assert users % 100 == 0
    assert run(tmp_path, "--rows", str(users)).stderr.startswith(b"0 users added")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), b"one of --csv FILE, --rows N and --sample"),
        (("--rows", "1", "--sample"), b"one of --csv FILE, --rows N and --sample"),
        (("--rows", "1", "--batch-rows", "0"), b"--batch-rows"),
        (("--csv", "."), b"is a directory"),
        (("--rows", "1", "--database-url", "mysql://u:secret@h:0/x"), b"port 0"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: tuple[str, ...], words: bytes) -> None:
    """Exit code 2, what is wrong in plain text, and nothing is made."""
    done = run(tmp_path, *arguments)

    assert done.returncode == 2
    assert words in done.stderr
    assert b"secret" not in done.stderr
    assert done.stderr.isascii()
    assert [] == list(tmp_path.iterdir())


def test_a_wrong_password(mysql_database: str, tmp_path: Path) -> None:
    """Exit code 1, and one line that says what to mend, without the password."""
    at = mysql_database.rindex("@")
    url = mysql_database[:at] + "-not" + mysql_database[at:]
    done = run(tmp_path, "--rows", "5", "--database-url", url)

    assert done.returncode == 1
    assert b"Fix the user, password" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert b"-not" not in done.stderr


def test_hosts_that_are_away_are_passed_over(mysql_database: str, tmp_path: Path) -> None:
    """The first host that answers is seeded."""
    at = mysql_database.rindex("@") + 1
    url = mysql_database[:at] + "127.0.0.1:1," + mysql_database[at:]
    done = run(tmp_path, "--rows", "5", "--database-url", url)

    assert b"5 users added, 0 unchanged.\n" == done.stderr


def test_the_table_refuses(mysql_database: str, tmp_path: Path) -> None:
    """An error that nobody foresaw is one line with its number, and no driver text."""
    assert run(tmp_path, "--rows", "1", "--database-url", mysql_database).returncode == 0
    execute(mysql_database, "ALTER TABLE user_data MODIFY name VARCHAR(20) NOT NULL")
    (tmp_path / "u.csv").write_text(f"name,email,age\n{'A' * 30},a@x.com,1\n")
    done = run(tmp_path, "--csv", "u.csv", "--database-url", mysql_database)

    assert done.returncode == 1
    assert b"its error 1406" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert b"Data too long" not in done.stderr


def test_outside_its_environment_it_finds_it(tmp_path: Path) -> None:
    """Run by a Python that has none of our packages, it goes on with the project's."""
    bare = getattr(sys, "_base_executable", sys.executable)
    settings = environment(USERSTREAM_VENV=sys.prefix)
    settings.pop("PYTHONPATH", None)
    probe = [bare, "-I", "-c", "import userstream_server"]
    if sys.prefix == sys.base_prefix or not subprocess.run(probe, check=False).returncode:
        pytest.skip("this Python is not a virtual environment over a bare one")
    installed = subprocess.run(
        [sys.executable, "-c", "import userstream_server"],
        env=settings,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip("userstream is not installed in this environment")
    done = subprocess.run(
        [bare, "-s", SCRIPT, "--sample"],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        check=False,
        timeout=100,
    )

    assert (0, b"1000 users added, 0 unchanged.\n") == (done.returncode, done.stderr)
