"""The C path on a real connection when it is dropped, shared by threads, out of memory, or its KILL fails."""

import gc
import secrets
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from userstream_server.databases.mysql import native_rows
from userstream_server.databases.mysql.database import MySQLDatabase
from userstream_server.databases.mysql.native_library import RowFetcher, load_library
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import CallCancelledError, UnavailableError
from userstream_server.rows.dialects import MYSQL
from userstream_server.rows.scan import Scan
from userstream_server.rows.sql import Query, users_query
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import execute, open_url
from userstream_testing.native_build import compile_library, needs_compiler
from userstream_testing.processlist import running, until_running
from userstream_testing.reader import reader_of

USERS = 5000
EVERYONE = users_query(MYSQL, Scan(), limit=1_000_000)
HUGE = Query("SELECT a.user_id, a.name, a.email, a.age FROM user_data a, user_data b")
"""25 million rows: some 7 seconds to read to the end."""
SLOW = Query(HUGE.text + ", user_data c WHERE a.age + b.age = c.age + 1000000")
"""Finds nothing for many seconds."""

pytestmark = pytest.mark.skipif(
    load_library() is None, reason="the package is installed without its native part"
)


@pytest.fixture(scope="module")
def url(mysql_url: str) -> Iterator[str]:
    """Yield the URL of a MySQL database with 5,000 users."""
    name = f"userstream_test_{secrets.token_hex(6)}"
    seed_synthetic(DatabaseUrl.parse(f"{mysql_url}/{name}"), USERS)
    yield f"{mysql_url}/{name}"
    execute(mysql_url, f"DROP DATABASE {name}")


@pytest.fixture
def database(url: str) -> Iterator[MySQLDatabase]:
    """Yield it with a pool of two."""
    opened = open_url(url, pool_size=2)
    assert isinstance(opened, MySQLDatabase)
    yield opened
    opened.close()


def counts_users(database: MySQLDatabase) -> int:
    """Read everybody, to show that the next query works."""
    with database.session() as session:
        return sum(block.user_count for block in session.encoded(EVERYONE, lambda: 1000))


def test_dropped_fetchers_free_their_buffers(database: MySQLDatabase) -> None:
    """300 fetchers of a megabyte each, dropped without `close`, leave no trace."""
    library = load_library()
    assert library is not None
    process = psutil.Process()
    with database.pool.connection() as connection:
        reader = connection._native
        assert reader is not None
        for n in range(310):
            if n == 10:
                before = process.memory_info().rss
            fetcher = RowFetcher(library, *reader._fetcher._functions)
            result = reader._run(EVERYONE.text.encode(), columns=4)
            assert fetcher.fetch(result.address, 2 * USERS).user_count == USERS
            reader.close()
        del fetcher
        gc.collect()

    assert process.memory_info().rss - before < 30 * 2**20


def test_an_exit_while_a_thread_fetches(url: str) -> None:
    """The buffer that the thread fills is not released under it: the process ends well."""
    program = """
        import sys, threading, time
        from userstream_server.databases.open import open_database
        from userstream_server.databases.options import DatabaseOptions
        from userstream_server.databases.url import DatabaseUrl
        from userstream_server.rows.sql import Query

        database = open_database(DatabaseOptions(DatabaseUrl.parse(sys.argv[1])))

        def read():
            with database.session() as session:
                next(session.encoded(Query(sys.argv[2]), lambda: 10**7))

        threading.Thread(target=read, daemon=True).start()
        time.sleep(1)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), url, HUGE.text]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (0, "") == (done.returncode, done.stderr)


def test_a_second_thread_is_refused(database: MySQLDatabase, url: str) -> None:
    """While one thread reads, another can neither query nor close; the first is not disturbed."""
    ended: list[BaseException] = []
    with database.pool.connection() as connection:

        def read() -> None:
            try:
                next(connection.encoded(SLOW.text, (), lambda: 100))
            except UnavailableError as error:
                ended.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        (number,) = until_running(url, 1)
        for use in (
            lambda: next(connection.encoded(EVERYONE.text, (), lambda: 100)),
            lambda: next(connection.counted("SELECT age FROM user_data")),
            connection.close,
        ):
            with pytest.raises(RuntimeError, match="two threads"):
                use()
        assert thread.is_alive()
        execute(url, f"KILL {number}")
        thread.join(10)
        connection.reusable = False

    assert [UnavailableError] == [type(error) for error in ended]
    assert USERS == counts_users(database)


def test_a_result_closed_between_two_blocks(database: MySQLDatabase) -> None:
    """Who reads on after somebody closed the connection gets an error, not freed memory."""
    with database.pool.connection() as connection:
        blocks = connection.encoded(HUGE.text, (), lambda: 100)
        assert next(blocks).user_count == 100
        connection.reusable = False
        connection.close()
        with pytest.raises(RuntimeError, match="closed while its rows were read"):
            next(blocks)

    assert USERS == counts_users(database)


@pytest.fixture
def single(url: str) -> Iterator[str]:
    """Yield the URL for an account with one connection at a time: the one that would KILL is refused."""
    with reader_of(url) as reader:
        name = DatabaseUrl.parse(reader).user
        execute(url, f"ALTER USER '{name}'@'%' WITH MAX_USER_CONNECTIONS 1")
        yield reader


def until_nothing_runs(url: str) -> None:
    deadline = time.monotonic() + 20
    while running(url):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("in_c", [True, False])
def test_leaving_in_the_middle_when_the_kill_fails(single: str, url: str, *, in_c: bool) -> None:
    """The connection is closed without reading the rest, and the query ends when it sends its next rows."""
    opened = open_url(single, pool_size=1, native_rows=in_c)
    assert isinstance(opened, MySQLDatabase)
    with closing(opened) as database:
        with database.session() as session:
            blocks = session.encoded(HUGE, lambda: 100)
            assert next(blocks).user_count == 100
            began = time.monotonic()
            blocks.close()

            assert time.monotonic() - began < 2
        assert (0, 0) == (database.queries_killed, database.pool.in_use)
        until_nothing_runs(url)

        assert USERS == counts_users(database)


def test_cancelling_when_the_kill_fails(single: str, url: str) -> None:
    """A query that finds nothing goes on to its time limit at most, then ends as cancelled."""
    opened = open_url(single, pool_size=1)
    assert isinstance(opened, MySQLDatabase)
    with closing(opened) as database:
        began = time.monotonic()
        with database.session(deadline_seconds=2) as session:
            cancel = threading.Timer(0.5, session.interrupt)
            cancel.start()
            with pytest.raises(CallCancelledError):
                list(session.encoded(SLOW, lambda: 100))
            cancel.join()

        assert time.monotonic() - began < 10
        assert (0, 0) == (database.queries_killed, database.pool.in_use)
        until_nothing_runs(url)

        assert USERS == counts_users(database)


FAILING = """
#include <stdlib.h>
static long left = 0;
void allow(long allocations) { left = allocations; }
static void *failing(void *old, size_t bytes) { return left-- > 0 ? realloc(old, bytes) : NULL; }
#define realloc failing
"""


@needs_compiler
@pytest.mark.parametrize("allocations", [0, 1, 2, 5, 10])
def test_no_memory_for_a_row(
    database: MySQLDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allocations: int
) -> None:
    """Whichever allocation fails: MemoryError, no half block, and a discarded connection."""
    (tmp_path / "failing.h").write_text(FAILING)
    compile_library(tmp_path / "failing.so", "-include", str(tmp_path / "failing.h"))
    library = load_library(tmp_path / "failing.so")
    assert library is not None
    monkeypatch.setattr(native_rows, "load_library", lambda: library)
    library.allow(allocations)
    with database.session() as session:
        with pytest.raises(MemoryError):
            list(session.encoded(EVERYONE, lambda: 2 * USERS))
        library.allow(10**6)

        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))
    assert (1, 0) == (database.queries_killed, database.pool.in_use)
    assert USERS == counts_users(database)


def test_no_memory_for_a_block(database: MySQLDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows were fetched, but Python cannot copy them: an error, never a block less."""

    def fail(*_: object) -> bytes:
        raise MemoryError

    with database.session() as session:
        blocks = session.encoded(EVERYONE, lambda: 1000)
        assert next(blocks).user_count == 1000
        with monkeypatch.context() as patch:
            patch.setattr("ctypes.string_at", fail)
            with pytest.raises(MemoryError):
                next(blocks)
        with suppress(StopIteration):
            pytest.fail(f"went on with {next(blocks)}")
    assert (1, 0) == (database.queries_killed, database.pool.in_use)
    assert USERS == counts_users(database)
