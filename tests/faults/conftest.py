"""What the fault tests share: tables of a few sizes, and their account."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import execute
from userstream_testing.fault_report import FaultReport
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.server_process import ServerProcess, serving

_report = FaultReport()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Print the account; write that of a whole long run into docs/reliability.md if it is asked for."""
    if _report.lines:
        terminalreporter.write_line(f"\n{_report.table()}\n")
    for line in _report.notes.values():
        terminalreporter.write_line(line)
    if os.environ.get("USERSTREAM_WRITE_RELIABILITY"):
        if exitstatus or config.option.markexpr or config.option.keyword:
            terminalreporter.write_line("docs/reliability.md: not written, not a whole long run")
        else:
            _report.write()


@pytest.fixture
def faults() -> FaultReport:
    """Return the account of this run."""
    return _report


@contextmanager
def table_of(mysql_url: str, rows: int) -> Iterator[str]:
    """Yield the URL of a database with so many made-up users, dropped afterwards."""
    url = f"{mysql_url}/userstream_faults_{rows}"
    seed_synthetic(DatabaseUrl.parse(url), rows)
    yield url
    execute(mysql_url, f"DROP DATABASE userstream_faults_{rows}")


@pytest.fixture(scope="session")
def small_url(mysql_url: str) -> Iterator[str]:
    """Yield a database with 300 users."""
    with table_of(mysql_url, 300) as url:
        yield url


@pytest.fixture(scope="session")
def small_servers(
    small_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Yield two servers over the same 300 users, for all tests that only read."""
    folder = tmp_path_factory.mktemp("small")
    with serving(small_url, folder) as one, serving(small_url, folder) as other:
        yield one, other


@pytest.fixture(scope="session")
def large_server(
    large_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Yield a server over 60,000 users that lets each kind of call run beside the others."""
    folder = tmp_path_factory.mktemp("large")
    with serving(large_url, folder, HEALTH_POLL_SECONDS=600, POOL_SCANS_SHARE=0.5) as process:
        yield process


@pytest.fixture(scope="session")
def large_url(mysql_url: str) -> Iterator[str]:
    """Yield a database with 60,000 users."""
    with table_of(mysql_url, 60_000) as url:
        yield url


@pytest.fixture(scope="session")
def huge_url(mysql_url: str) -> Iterator[str]:
    """Yield a database with 400,000 users; it takes a while to fill."""
    with table_of(mysql_url, 400_000) as url:
        yield url


@pytest.fixture(scope="session")
def mortal_mysql() -> Iterator[PrivateServer]:
    """Yield a MySQL that may be killed."""
    with PrivateServer() as server:
        yield server


@pytest.fixture(scope="session")
def mortal_url(mortal_mysql: PrivateServer) -> str:
    """Return a database with 20,000 users on the MySQL that may be killed."""
    url = f"{mortal_mysql.url}/userstream_faults"
    seed_synthetic(DatabaseUrl.parse(url), 20_000)
    return url
