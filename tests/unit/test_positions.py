"""Positions: what tokens carry of the transactions that a server has executed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream_server.databases.mysql.positions import holds_position, read_position
from userstream_server.errors import InternalError

SET = (
    b"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77:100-200,\n"
    b"8a94f357-aab4-11df-86ab-c80aa9429562:1,8a94f357-aab4-11df-86ab-c80aa9429562:tag:1-3"
)


class Server:
    """Answers one value to each query and keeps the queries."""

    def __init__(self, *answers: bytes | None, is_mariadb: bool = False) -> None:
        self.is_mariadb = is_mariadb
        self._answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def blocks(self, _text: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        self.asked.append(parameters)
        if not self._answers:
            raise InternalError("DATABASE_ERROR")
        return [[(self._answers.pop(0),)]]


def read(*answers: bytes | None, **options: Any) -> bytes:
    server: Any = Server(*answers, **options)
    return read_position(server)


def test_a_set_comes_back_as_it_was() -> None:
    """In less than half the bytes, and waited for with MySQL's own words."""
    position = read(SET)
    server: Any = Server(b"0")

    assert holds_position(server, position, 2.5) is True
    assert [(SET.replace(b"\n", b"").decode(), 2.5)] == server.asked
    assert len(position) < 0.6 * len(SET)


@pytest.mark.parametrize(
    "answer",
    [
        b"",  # GTIDs are off, or nothing was written yet
        None,
        b",".join(b"3e11fa47-71ca-11e1-9e33-%012x:1-9" % n for n in range(40)),
        b"3e11fa47-71ca-11e1-9e33-c80aa9429562:" + b":".join(b"%d" % n for n in range(0, 400, 2)),
        b"a new kind of set",
    ],
)
def test_no_position(answer: bytes | None) -> None:
    """A server without GTIDs has none, and a set that is long or of a new kind counts as none."""
    assert read(answer) == b""


def test_a_server_that_knows_no_such_variables() -> None:
    """It has no position, and cannot be compared."""
    server: Any = Server()

    assert read_position(server) == b""
    assert holds_position(server, read(SET), 0) is None


@pytest.mark.parametrize(
    ("answer", "holds"), [(b"0", True), (b"1", False), (None, None), (b"-1", None)]
)
def test_what_waiting_says(answer: bytes | None, holds: bool | None) -> None:  # noqa: FBT001
    """0: reached, 1: not in time."""
    server: Any = Server(answer)

    assert holds is holds_position(server, read(SET), 0)
    assert server.asked[0][1] > 0  # 0 would wait for ever


@pytest.mark.parametrize(
    ("current", "waited", "holds"),
    [
        (b"0-1-100,1-2-30", None, True),
        (b"0-1-101,1-2-31,2-2-1", None, True),
        (b"0-1-99,1-2-30", b"0", True),
        (b"0-1-99,1-2-30", b"-1", False),
        (b"0-1-100", b"-1", False),
    ],
)
def test_mariadb(current: bytes, waited: bytes | None, holds: bool) -> None:  # noqa: FBT001
    """Each domain must have come as far; where one has not, MariaDB waits."""
    position = read(b"0-1-100,1-2-30", is_mariadb=True)
    server: Any = Server(current, waited, is_mariadb=True)

    assert holds is holds_position(server, position, 0)
    assert len(server.asked) == (2 if waited else 1)


def test_one_engine_s_position_says_nothing_to_the_other() -> None:
    """They cannot be compared."""
    mysql, mariadb = read(SET), read(b"0-1-100", is_mariadb=True)
    server: Any = Server(b"0")
    other: Any = Server(b"0-1-100", is_mariadb=True)

    assert holds_position(server, mariadb, 0) is None
    assert holds_position(other, mysql, 0) is None


@given(st.binary(max_size=80))
def test_whatever_a_forged_token_brings(position: bytes) -> None:
    """It is compared, or not; it raises nothing."""
    for prefix in (b"", b"M", b"A"):
        server: Any = Server(b"1", b"-1")
        holds_position(server, prefix + position, 0)
        maria: Any = Server(b"0-1-1", b"-1", is_mariadb=True)
        holds_position(maria, prefix + position, 0)
