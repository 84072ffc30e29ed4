"""docs/seeding.md, run word for word on an empty server."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from userstream_testing.admin import execute
from userstream_testing.mysql_binaries import Engine, ProgramNotFoundError
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.reader import documented_grants
from userstream_testing.repository import ROOT

pytestmark = pytest.mark.slow  # starts two database servers

PAGE = (ROOT / "docs/seeding.md").read_text("utf-8")
BLOCK = re.compile(r"^( *)<!-- tested -->\n *```(sql|sh)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Return language and text of each block that is marked as tested."""
    return [(language, textwrap.dedent(text)) for _, language, text in BLOCK.findall(PAGE)]


@pytest.fixture(params=["mysql", "mariadb"])
def empty_server(request: pytest.FixtureRequest) -> Iterator[PrivateServer]:
    """Yield a server without any database or account of ours."""
    engine: Engine = request.param
    try:
        server = PrivateServer(engine)
    except ProgramNotFoundError as error:
        pytest.skip(str(error))
    with server:
        yield server


def run_shell(text: str, server: PrivateServer, folder: Path) -> str:
    """Run a block in bash, with the command of this environment; return what it prints."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("USERSTREAM_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", text.replace("db.example:3306", f"{server.host}:{server.port}")],
        cwd=folder,
        env={**inherited, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_documented_steps_work(empty_server: PrivateServer, tmp_path: Path) -> None:
    """In the order of the page: database, seeding account, seed, reader account, check."""
    said = []
    for language, text in blocks():
        if language == "sql":
            execute(empty_server.url, *(s for s in map(str.strip, text.split(";")) if s))
        else:
            said.append(run_shell(text, empty_server, tmp_path))

    seeded, checked = said
    assert seeded == "2 users added, 0 unchanged.\n"
    assert "table     ok    user_data fits" in checked
    assert "FAIL" not in checked


def test_both_pages_have_the_same_reader() -> None:
    """docs/operations.md makes the account of the service with the same statements."""
    assert ["sql", "sh", "sql", "sh"] == [language for language, _ in blocks()]
    assert documented_grants() == blocks()[2][1]
