"""How many connections the limit of open files leaves."""

import resource

import pytest
from pydantic import SecretStr
from userstream_server import file_limits
from userstream_server.settings import ServerSettings

INFINITE = resource.RLIM_INFINITY
RESERVED = 8 + 8 + 64


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a stand-in for the process's limits; what is set is added at its end."""
    held = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: held[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: held.append(new))
    return held


@pytest.mark.parametrize(
    ("before", "after", "allowed", "is_short"),
    [
        ((1024, 4096), (2000 + RESERVED, 4096), 2000, False),
        ((1024, INFINITE), (2000 + RESERVED, INFINITE), 2000, False),
        ((1024, 1024), (1024, 1024), 1024 - RESERVED, True),
        ((4096, 4096), (4096, 4096), 2000, False),
        ((INFINITE, INFINITE), (INFINITE, INFINITE), 2000, False),
        ((50, 50), (50, 50), 16, True),
    ],
)
def test_limits(
    limits: list[tuple[int, int]],
    before: tuple[int, int],
    after: tuple[int, int],
    allowed: int,
    is_short: bool,  # noqa: FBT001
) -> None:
    """The soft limit is raised as far as needed and allowed; what is missing is taken from the connections."""
    settings = ServerSettings()
    limits.append(before)
    file_limits.raise_file_limit(settings)

    assert after == limits[-1]
    assert allowed == file_limits.connections_allowed(settings)
    assert is_short is (file_limits.shortage(settings) is not None)


def test_health_s_own_port_needs_files_too(limits: list[tuple[int, int]]) -> None:
    """Its connections come out of the same limit."""
    limits.append((1024, 1024))
    settings = ServerSettings(health_listen="127.0.0.1:0")

    assert 1024 - RESERVED - 100 == file_limits.connections_allowed(settings)


def test_each_database_host_needs_files(limits: list[tuple[int, int]]) -> None:
    """Of several hosts, each has a pool of its own and a connection for its checks."""
    limits.append((1024, 1024))
    settings = ServerSettings(database_url=SecretStr("mysql://u:p@one,two,three/x"))

    assert 1024 - RESERVED - 2 * 8 - 3 == file_limits.connections_allowed(settings)
