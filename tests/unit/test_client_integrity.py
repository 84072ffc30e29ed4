"""What a server must not do, and what both clients say when it does."""

from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import (
    Consistency,
    DataIntegrityError,
    Freshness,
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

RESPONSES = {"stream_users": pb.StreamUsersResponse, "batch_users": pb.BatchUsersResponse}
LIVE, SNAPSHOT = Consistency.LIVE, Consistency.SNAPSHOT

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


@pytest.mark.parametrize("method", RESPONSES)
@pytest.mark.parametrize(
    ("requested", "sent", "words"),
    [
        (SNAPSHOT, pb.CONSISTENCY_LIVE, ["requested snapshot", "says live"]),
        (SNAPSHOT, pb.CONSISTENCY_UNSPECIFIED, ["requested snapshot", "says live"]),
        (LIVE, pb.CONSISTENCY_SNAPSHOT, ["requested live", "says snapshot"]),
        (LIVE, 3, ["consistency 3", "upgrade"]),
    ],
)
def test_receipt_of_another_consistency(
    kind: str, method: str, requested: Consistency, sent: Any, words: list[str]
) -> None:
    """A receipt must name the consistency that was requested; the error names both."""
    messages = messages_of(USERS, response=RESPONSES[method], consistency=sent)
    with ScriptedServer(messages) as server:
        seen = read_users(kind, server.target, method=method, consistency=requested)

    assert isinstance(seen.error, ReceiptMismatchError)
    assert [] == [word for word in words if word not in seen.error.message]
    assert (None, 1) == (seen.receipt, len(server.calls))


@pytest.mark.parametrize("sent", [pb.CONSISTENCY_LIVE, pb.CONSISTENCY_UNSPECIFIED])
def test_receipt_without_a_consistency_means_live(kind: str, sent: Any) -> None:
    """UNSPECIFIED means LIVE in a receipt as it does in a request."""
    with ScriptedServer(messages_of(USERS, consistency=sent)) as server:
        seen = read_users(kind, server.target)

    assert seen.receipt
    assert (None, LIVE) == (seen.error, seen.receipt.consistency)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (pb.FRESHNESS_UNSPECIFIED, Freshness.UNSPECIFIED),
        (pb.FRESHNESS_KEPT, Freshness.KEPT),
        (pb.FRESHNESS_UNKNOWN, Freshness.UNKNOWN),
        (3, Freshness.UNKNOWN),
    ],
)
def test_receipt_says_what_is_known_of_the_hosts(kind: str, sent: Any, shown: Freshness) -> None:
    """None is an error. What a later server may say is not KEPT, so it is UNKNOWN."""
    messages = messages_of(USERS)
    messages[-1].receipt.freshness = sent
    with ScriptedServer(messages) as server:
        seen = read_users(kind, server.target)

    assert seen.receipt
    assert (None, shown) == (seen.error, seen.receipt.freshness)


@pytest.mark.parametrize("method", RESPONSES)
def test_receipt_that_hides_a_resume(kind: str, method: str) -> None:
    """A scan that was resumed must not look like one read view; the error names both figures."""
    rest = messages_of(USERS, after=4, resumed_count=0, response=RESPONSES[method])
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), rest) as server:
        seen = read_users(kind, server.target, method=method)

    assert isinstance(seen.error, ReceiptMismatchError)
    assert "resumed at least 1 times, but the receipt says 0" in seen.error.message


def test_receipt_that_knows_of_more_resumes(kind: str) -> None:
    """A bare token may come from a scan that was resumed before: only the server knows how often."""
    with ScriptedServer(messages_of(USERS, after=4, resumed_count=7)) as server:
        seen = read_users(kind, server.target, resume_token="after:4:6")

    assert seen.receipt
    assert (None, 7) == (seen.error, seen.receipt.resumed_count)


def test_attempts_that_brought_nothing_are_no_resumes(kind: str) -> None:
    """Tokens count resumes, so an attempt without a message leaves no trace in the receipt."""
    nothing: list[Any] = [AWAY]
    broken, whole = scan_script(USERS, AWAY, messages=2), scan_script(USERS)
    with ScriptedServer(nothing, nothing, broken, nothing, whole) as server:
        seen = read_users(kind, server.target)

    assert seen.receipt
    assert (None, 1) == (seen.error, seen.receipt.resumed_count)


def test_own_receipt_counts_resumes_as_the_server_does(kind: str) -> None:
    """Where the limit was reached and the receipt lost, the client writes the receipt itself."""
    script = [*messages_of(USERS, receipt=False), AWAY]
    with ScriptedServer([AWAY], script) as server:
        seen = read_users(kind, server.target, limit=7)

    assert seen.receipt
    assert (None, 0) == (seen.error, seen.receipt.resumed_count)


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
