"""The connection for health checks, when a new one can and cannot be opened."""

import pytest
from userstream_server.databases.kept_connection import OUT_OF_FILES, KeptConnection
from userstream_server.errors import UnavailableError


class Connection:
    """A connection without a database."""

    used_at = 0.0
    reusable = True
    lives = True
    is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def is_alive(self) -> bool:
        return self.lives


class Opener:
    """Opens connections, or fails for a reason."""

    reason = ""

    def __call__(self) -> Connection:
        if self.reason:
            raise UnavailableError(self.reason, "no connection")
        return Connection()


def looked(kept: KeptConnection[Connection]) -> Connection:
    with kept.living() as connection:
        return connection


def test_each_look_opens_a_connection() -> None:
    """Each look uses a new one, so that a changed password or a full database shows; one stays open."""
    kept = KeptConnection(Opener())
    first, second = looked(kept), looked(kept)

    assert first is not second
    assert [True, False] == [first.is_closed, second.is_closed]
    kept.close()
    assert second.is_closed


@pytest.mark.parametrize(
    ("reason", "lives", "is_used"),
    [
        (OUT_OF_FILES, True, True),
        (OUT_OF_FILES, False, False),
        ("DATABASE_UNAVAILABLE", True, False),
    ],
)
def test_when_none_can_be_opened(reason: str, lives: bool, is_used: bool) -> None:  # noqa: FBT001
    """For want of file descriptors, and nothing else, the last one is used if it lives; otherwise it is closed."""
    opener = Opener()
    kept = KeptConnection(opener)
    first = looked(kept)
    opener.reason, first.lives = reason, lives
    if is_used:
        assert looked(kept) is first
        assert looked(kept) is first
    else:
        with pytest.raises(UnavailableError):
            looked(kept)
    assert is_used is not first.is_closed


def test_a_failed_look_closes_it() -> None:
    """What failed in the block is not kept."""
    kept = KeptConnection(Opener())
    with pytest.raises(ZeroDivisionError), kept.living() as connection:
        raise ZeroDivisionError

    assert connection.is_closed
    assert looked(kept) is not connection
