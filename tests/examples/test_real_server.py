"""Each example program against a real server: killed in mid-stream, with TLS and tokens, and its other calls."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.certificates import Authority
from userstream_testing.example_programs import Program, programs
from userstream_testing.example_runs import Started, run
from userstream_testing.server_process import ServerProcess, serving
from userstream_testing.sign_in import tls

pytestmark = pytest.mark.slow

ROWS = 150_000
"""More than pipes and connections hold, so that a kill after the first lines is one in mid-stream."""
LINES_BEFORE_THE_KILL = 1000


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file with ROWS users."""
    path = tmp_path_factory.mktemp("table") / "users.db"
    seed_synthetic(DatabaseUrl.parse(f"sqlite:///{path}"), ROWS)
    return path


@pytest.fixture(scope="module")
def server(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server that is not killed."""
    with serving(f"sqlite:///{table}", tmp_path_factory.mktemp("server")) as process:
        yield process


def column(table: Path, query: str) -> list[str]:
    """Return the first column of a query."""
    with sqlite3.connect(table) as connection:
        return [row[0] for row in connection.execute(query)]


CALLS = [
    pytest.param(("stream",), id="stream"),
    pytest.param(
        ("batches", "--size", "1000", "--age-over=-1"), id="batches", marks=pytest.mark.long
    ),
]


@pytest.mark.parametrize("program", programs())
@pytest.mark.parametrize("call", CALLS)
def test_killed_in_mid_stream(
    table: Path, tmp_path: Path, program: Program, call: tuple[str, ...]
) -> None:
    """The server gets SIGKILL and starts again: every user comes once, in order, and the receipt says so."""
    settings = {"USERSTREAM_DATABASE_URL": f"sqlite:///{table}"}
    with (
        ServerProcess(settings, folder=tmp_path) as first,
        Started(program, first.target, call, {}) as started,
    ):
        started.read_lines(LINES_BEFORE_THE_KILL)
        first.kill()
        with ServerProcess(settings | {"USERSTREAM_LISTEN": first.target}, folder=tmp_path):
            done = started.finish()

    assert column(table, "SELECT user_id FROM user_data ORDER BY user_id") == done.ids
    assert done.verified
    assert done.report["resumed_count"] >= 1


@pytest.mark.parametrize("program", programs())
def test_other_calls(table: Path, server: ServerProcess, program: Program) -> None:
    """Pages, both averages and a limit tell what the table holds."""
    old = column(table, "SELECT user_id FROM user_data WHERE age > 110 ORDER BY user_id")
    pages = run(program, server.target, "pages", "--age-over", "110", "--size", "500")
    average = run(program, server.target, "average")
    running = run(program, server.target, "running-average", "--age-over", "110")
    limited = run(program, server.target, "stream", "--limit", "3")

    assert old == pages.ids
    assert crc32("".join(old).encode()) == pages.report["user_id_crc32"]
    sums = column(table, "SELECT sum(age) FROM user_data")
    assert (ROWS, *sums) == (average.report["user_count"], average.report["age_sum"])
    assert len(old) == running.report["user_count"]
    assert limited.verified
    assert 3 == len(limited.ids)


@pytest.mark.parametrize("program", programs())
def test_tls_and_tokens(
    table: Path, tmp_path: Path, authority: Authority, program: Program
) -> None:
    """With the authority and a token it reads; with another token it reports why it may not."""
    tokens = tmp_path / "tokens"
    tokens.write_text("the-right-token-of-this-test\n", "utf-8")
    options = {**tls(authority), "AUTH_TOKENS_FILE": tokens}
    with serving(f"sqlite:///{table}", tmp_path, **options) as server:
        target = f"localhost:{server.port}"
        ca = {"USERSTREAM_TLS_CA": str(authority.ca)}
        right = {**ca, "USERSTREAM_TOKEN": "the-right-token-of-this-test"}
        seen = run(program, target, "stream", "--limit", "5", **right)
        refused = run(
            program, target, "stream", **ca, USERSTREAM_TOKEN="another-token-of-this-test"
        )

    assert seen.verified
    assert 5 == len(seen.ids)
    assert ("UNAUTHENTICATED", "TOKEN_REFUSED") == (
        refused.report["code"],
        refused.report["reason"],
    )
    assert 1 == refused.exit_code
