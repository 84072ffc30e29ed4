"""docs/tutorial.md, every command of it, in one shell and in order."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from userstream_testing.admin import execute
from userstream_testing.command import clean_environment
from userstream_testing.mysql_server import free_port
from userstream_testing.repository import ROOT

PAGE = (ROOT / "docs/tutorial.md").read_text("utf-8")
BLOCK = re.compile(r'^```(\w+)(?: title="(\S+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
INSTALL, REST = PAGE.index("## 1. Install"), PAGE.index("## 2. ")
MYSQL = PAGE.index("## 6. ")
SECONDS = 100
MARK = "\x1e"
"""Stands before the output of each command; no command prints it."""


@dataclass(frozen=True)
class Command:
    """A line after `$`, and what the page says that it prints."""

    line: str
    expected: str


def commands(text: str) -> list[Command]:
    """Return the commands of a `console` block."""
    parts = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    return [Command(line, expected) for line, expected in parts]


def script(page: str) -> tuple[str, list[Command]]:
    """Return a part of the page as a script for bash, and its commands; SQL is left out."""
    lines, found = [], []
    for language, title, text in BLOCK.findall(page):
        if title:
            lines.append(f"cat >{title} <<'END'\n{text}END")
        elif language == "console":
            found += commands(text)
            lines += [f"printf '{MARK}'\n{command.line}" for command in commands(text)]
    return "\n".join(lines) + "\n", found


def run(program: str, folder: Path, **settings: str) -> list[str]:
    """Run a script and return what each command printed, on both outputs."""
    address = dict.fromkeys(("USERSTREAM_LISTEN", "USERSTREAM_TARGET"), f"127.0.0.1:{free_port()}")
    path = (
        f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    # What the script leaves running is ended with it.
    tidy = "trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT\n"
    done = subprocess.run(
        ["bash", "-euc", tidy + program],
        cwd=folder,
        env=clean_environment(**address, **settings) | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS * (5 if "git clone" in program else 1),
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split(MARK)[1:]


def as_printed(text: str) -> str:
    """Leave out what bash says of a background process that was killed."""
    return re.sub(r"^.*line \d+: +\d+ Killed .*\n", "", text, flags=re.MULTILINE)


def unlike(found: list[Command], printed: list[str]) -> list[tuple[str, str]]:
    """Return the commands that printed something else than the page says; pip may warn of a machine's own affairs."""
    assert len(found) == len(printed)
    return [
        (command.line, text)
        for command, text in zip(found, map(as_printed, printed), strict=True)
        if not command.line.startswith("pip install")
        and not re.fullmatch(re.escape(command.expected).replace("…", ".*"), text)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder whose bin/ has the commands of this environment."""
    for name, module in (
        ("userstream", "userstream_client.cli"),
        ("userstream-server", "userstream_server.__main__"),
    ):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"#!{sys.executable}\nfrom {module} import main\nraise SystemExit(main())\n", "utf-8"
        )
        path.chmod(0o755)
    return tmp_path


@pytest.mark.slow
def test_commands_without_mysql_print_what_the_page_says(folder: Path) -> None:
    """Parts 2 to 5; part 1 is what this environment is."""
    program, found = script(PAGE[REST:MYSQL])

    assert [] == unlike(found, run(program, folder))


@pytest.fixture
def shop(mysql_url: str) -> Iterator[tuple[str, str, str]]:
    """Yield names of a database and an account that nobody else has, and where MySQL is; both are dropped."""
    database, account = (f"userstream_test_{secrets.token_hex(4)}" for _ in range(2))
    yield database, account, mysql_url.rpartition("@")[2]
    execute(
        mysql_url, f"DROP DATABASE IF EXISTS {database}", f"DROP USER IF EXISTS '{account}'@'%'"
    )


def test_the_part_with_mysql_works(
    shop: tuple[str, str, str], mysql_url: str, folder: Path
) -> None:
    """Part 6: the page's SQL as it is, then its commands; MariaDB is named as such."""
    database, account, address = shop
    part = PAGE[MYSQL:].replace("shop", database).replace("reader", account)
    part = part.replace("127.0.0.1:3306", address).replace("MySQL …", "… …")
    blocks = [text for language, _, text in BLOCK.findall(part) if language == "sql"]
    statements = [s for text in blocks for s in map(str.strip, text.split(";")) if s]
    execute(mysql_url, *statements)
    # It begins with the end of the server of part 5.
    program, found = script(part.replace("$ kill $server && wait $server\n", "", 1))

    assert [] == unlike(found, run(program, folder))


@pytest.mark.long
def test_the_page_works_from_a_fresh_clone(tmp_path: Path) -> None:
    """Parts 1 to 5, with a clone of this repository, a new environment, and packages from the network."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is no git repository")
    part = PAGE[INSTALL:MYSQL].replace("<this repository>", str(ROOT))
    program, found = script(part)

    assert [] == unlike(found, run(program, tmp_path, PYTHONPATH=""))
