"""Which host a call reads from, without a database."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from userstream_server.databases.host_state import HostState
from userstream_server.databases.mysql.cluster_session import ClusterSession
from userstream_server.databases.mysql.hosts import Hosts
from userstream_server.databases.time_limits import CallLimits
from userstream_server.errors import UnavailableError

GOOD = HostState(readable=True, text="")
LEFT_OUT = HostState(readable=False, text="")
UNWANTED = HostState(readable=False, text="", is_unwanted=True)
LOST = UnavailableError("DATABASE_UNAVAILABLE", "lost")


class Host:
    """A host that is never asked."""

    def __init__(self) -> None:
        self.state = GOOD
        self.database = SimpleNamespace(pool=None)
        self.calls = self.suspicions = 0

    def count_calls(self, more: int) -> None:
        self.calls += more

    def suspect(self) -> None:
        self.suspicions += 1


@pytest.fixture
def hosts() -> list[Host]:
    """Return two hosts, ranked in this order."""
    return [Host(), Host()]


@pytest.fixture
def session(hosts: list[Host]) -> ClusterSession:
    """Return a session over them."""

    class Ranked(list[Host]):
        def ranked(self) -> list[Host]:
            good = [host for host in self if host.state.readable and not host.suspicions]
            if not good:
                raise UnavailableError("DATABASE_UNAVAILABLE", "none")
            return good

    return ClusterSession(cast("Hosts", Ranked(hosts)), CallLimits(None, 1.0), "caller")


def test_a_call_stays_while_its_host_is_good(session: Any, hosts: list[Host]) -> None:
    """Also while USERSTREAM_READ_FROM would take another one, as after a change of primary."""
    first = session._here()
    hosts[0].state = UNWANTED
    still = session._here()
    hosts[0].state = LEFT_OUT
    moved = session._here()

    assert first is still is not moved
    assert [0, 1] == [host.calls for host in hosts]
    session.close()
    assert [0, 0] == [host.calls for host in hosts]


def test_a_host_that_fails_is_suspected(session: Any, hosts: list[Host]) -> None:
    """The call moves, and its host is checked at once."""
    session._here()
    session.move_on(LOST)

    assert [1, 0] == [host.suspicions for host in hosts]
    assert [0, 1] == [host.calls for host in hosts]


@pytest.mark.parametrize("reason", ["QUERY_KILLED", "OUT_OF_FILES"])
def test_what_no_other_host_can_help(session: Any, hosts: list[Host], reason: str) -> None:
    """An administrator's KILL QUERY, and a server without files, end the call."""
    session._here()
    error = UnavailableError(reason, "")
    with pytest.raises(UnavailableError) as caught:
        session.move_on(error)

    assert caught.value is error
    assert [0, 0] == [host.suspicions for host in hosts]


def test_it_does_not_go_round_for_ever(session: Any, hosts: list[Host]) -> None:
    """Hosts that pass their checks and fail every query are given up after two rounds."""
    session._here()
    for _ in range(4):
        session.move_on(LOST)
        for host in hosts:
            host.suspicions = 0
    with pytest.raises(UnavailableError) as caught:
        session.move_on(LOST)

    assert caught.value is LOST


def test_without_any_host(session: Any, hosts: list[Host]) -> None:
    """The call ends, and counts nowhere."""
    session._here()
    hosts[1].state = LEFT_OUT
    with pytest.raises(UnavailableError, match="none"):
        session.move_on(LOST)

    assert [0, 0] == [host.calls for host in hosts]
