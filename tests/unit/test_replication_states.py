"""What servers say of a group or a Galera cluster, and what that means for reads."""

from typing import Any

import pytest
from userstream_server.databases.host_state import Role
from userstream_server.databases.mysql.replication import Replication
from userstream_server.errors import PreconditionError


class Server:
    """Answers as a server does, without one.

    Args:
        answers: The rows for a query with these words in it.
    """

    is_mariadb = False

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self._answers = answers

    def blocks(self, text: str) -> list[list[Any]]:
        return [rows for words, rows in self._answers.items() if words in text]


def member(*, own: bool, state: str, role: str = "SECONDARY") -> tuple[bytes, ...]:
    return (b"1" if own else b"0", state.encode(), role.encode())


@pytest.mark.parametrize(
    ("own", "others", "readable"),
    [
        ("ONLINE", ("ONLINE", "ONLINE"), True),
        ("ONLINE", ("ONLINE", "UNREACHABLE"), True),
        ("ONLINE", ("RECOVERING", "UNREACHABLE"), True),
        ("ONLINE", ("UNREACHABLE", "UNREACHABLE"), False),
        ("ONLINE", ("UNREACHABLE",), False),
        ("RECOVERING", ("ONLINE", "ONLINE"), False),
        ("OFFLINE", (), False),
        ("ERROR", (), False),
    ],
)
def test_members_of_a_group(own: str, others: tuple[str, ...], readable: bool) -> None:  # noqa: FBT001
    """Only a member that is ONLINE and reaches a majority may be read."""
    rows = [member(own=False, state=state) for state in others]
    server: Any = Server({"replication_group_members": [member(own=True, state=own), *rows]})
    state = Replication(server).state(30)

    assert readable is state.readable
    assert Role.REPLICA is state.role


def test_the_primary_of_a_group() -> None:
    """Its role is the group's."""
    rows = [member(own=True, state="ONLINE", role="PRIMARY"), member(own=False, state="ONLINE")]
    server: Any = Server({"replication_group_members": rows})
    state = Replication(server).state(30)

    assert (Role.PRIMARY, "group member, ONLINE PRIMARY") == (state.role, state.text)


@pytest.mark.parametrize(
    ("ready", "comment", "readable"),
    [
        (b"ON", b"Synced", True),
        (b"ON", b"Donor/Desynced", False),
        (b"OFF", b"Initialized", False),
    ],
)
def test_nodes_of_a_galera_cluster(ready: bytes, comment: bytes, readable: bool) -> None:  # noqa: FBT001
    """Only a node that is ready and Synced may be read."""
    status = [(b"wsrep_ready", ready), (b"wsrep_local_state_comment", comment)]
    server: Any = Server({"wsrep_on": [(b"wsrep_on", b"ON")], "wsrep_ready": status})

    assert readable is Replication(server).state(30).readable


def test_a_server_without_such_tables() -> None:
    """One that only speaks the protocol stands alone."""

    class Other(Server):
        def blocks(self, text: str) -> list[list[Any]]:
            if "performance_schema" in text:
                raise PreconditionError("TABLE_MISSING", "no such table")
            return []

    server: Any = Other({})
    state = Replication(server).state(30)

    assert (True, "stands alone", "") == (state.readable, state.text, state.hint)
