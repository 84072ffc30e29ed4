"""What a server must not do, and what both clients say when it does."""

from typing import Any

import grpc
import pytest
from userstream_client import (
    DataIntegrityError,
    IncompleteStreamError,
    OutOfOrderError,
    ReceiptMismatchError,
)
from userstream_testing.client_runs import KINDS, read_users
from userstream_testing.scripted_server import (
    Fail,
    ScriptedServer,
    made_users,
    messages_of,
    scan_script,
)

AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "away", reason="DATABASE_AWAY")
USERS = made_users(7)
IDS = [user.user_id for user in USERS]

pytestmark = pytest.mark.parametrize("kind", KINDS)


def ids(users: list[Any]) -> list[str]:
    return [user.user_id for user in users]


def out_of_order() -> list[Any]:
    first, second = messages_of(USERS[:4], receipt=False)
    return [second, first]


def doubled_in_a_message() -> list[Any]:
    return messages_of([USERS[0], USERS[0]])


def doubled_across_messages() -> list[Any]:
    return messages_of([USERS[0], USERS[1], USERS[1]], per_message=2)


@pytest.mark.parametrize("script", [out_of_order, doubled_in_a_message, doubled_across_messages])
def test_no_retry_out_of_order(kind: str, script: Any) -> None:
    """A user out of order or doubled is refused, not handed out, and not asked for again."""
    with ScriptedServer(script()) as server:
        seen = read_users(kind, server.target)
        assert server.calls[0].ended.wait(10)

    assert isinstance(seen.error, OutOfOrderError)
    assert 1 == len(server.calls)
    assert ids(seen.users) == sorted(set(ids(seen.users)))


def test_no_retry_out_of_order_across_attempts(kind: str) -> None:
    """An attempt that begins before its token is refused."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), messages_of(USERS)) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, OutOfOrderError)
    assert IDS[:4] == ids(seen.users)


@pytest.mark.parametrize("field", ["user_count", "user_id_crc32"])
def test_receipt_that_differs(kind: str, field: str) -> None:
    """A count or CRC-32 other than that of the users that came is an error, not a result."""
    messages = messages_of(USERS)
    receipt = messages[-1].receipt
    setattr(receipt, field, getattr(receipt, field) + 1)
    with ScriptedServer(messages) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, ReceiptMismatchError)
    assert seen.receipt is None


def test_a_lost_message_is_noticed(kind: str) -> None:
    """Users that were lost on the way leave a hole that the receipt shows."""
    first, _, *rest = messages_of(USERS)
    with ScriptedServer([first, *rest]) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, ReceiptMismatchError)


def test_ok_without_a_receipt(kind: str) -> None:
    """A stream that ends OK without its receipt is not complete."""
    with ScriptedServer(messages_of(USERS, receipt=False)) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, IncompleteStreamError)


def test_users_after_the_receipt(kind: str) -> None:
    """Nothing may follow a receipt."""
    with ScriptedServer([*messages_of(USERS[:4]), *messages_of(USERS, after=4)]) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, DataIntegrityError)
    assert IDS[:4] == ids(seen.users)


def test_more_than_the_limit(kind: str) -> None:
    """A server that ignores the limit is found out."""
    with ScriptedServer(messages_of(USERS)) as server:
        seen = read_users(kind, server.target, limit=3)

    assert isinstance(seen.error, DataIntegrityError)
