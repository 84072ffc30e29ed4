"""What Bigtable's client conformance tests ask of a resuming reader, asked of both of ours.

Source of the cases' names: googleapis/cloud-bigtable-clients-test, readrows_test.go.
"""

import time
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import (
    CallCancelledError,
    DeadlineExceededError,
    InternalError,
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
)
from userstream_testing.client_runs import KINDS, QUICK, read_users
from userstream_testing.scripted_server import (
    Fail,
    Hang,
    ScriptedServer,
    made_users,
    messages_of,
    receipt_of,
    scan_script,
)

AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "away", reason="DATABASE_AWAY")
RESET = Fail(grpc.StatusCode.INTERNAL, "Stream removed (RST_STREAM (error code 2))")
USERS = made_users(7)
IDS = [user.user_id for user in USERS]

pytestmark = pytest.mark.parametrize("kind", KINDS)


def ids(users: list[Any]) -> list[str]:
    return [user.user_id for user in users]


def test_no_failure(kind: str) -> None:
    """A whole stream in one attempt: users as sent, and the receipt."""
    with ScriptedServer(scan_script(USERS)) as server:
        seen = read_users(kind, server.target)

    assert (IDS, None) == (ids(seen.users), seen.error)
    assert seen.receipt
    assert receipt_of(USERS).user_id_crc32 == seen.receipt.user_id_crc32
    assert ("Name 1", "user1@example.com", 1) == seen.users[0][1:]


def test_empty_result(kind: str) -> None:
    """No user, and a receipt that says so."""
    with ScriptedServer(scan_script([])) as server:
        seen = read_users(kind, server.target)

    assert seen.receipt
    assert ([], 0) == (seen.users, seen.receipt.user_count)


@pytest.mark.parametrize("failure", [AWAY, RESET], ids=["unavailable", "stream reset"])
@pytest.mark.parametrize("method", ["stream_users", "batch_users"])
def test_retry_after_some_rows(kind: str, failure: Fail, method: str) -> None:
    """The next attempt begins at the last token; the caller sees one stream."""
    with ScriptedServer(scan_script(USERS, failure, messages=2), scan_script(USERS)) as server:
        seen = read_users(kind, server.target, method=method)

    assert (IDS, None) == (ids(seen.users), seen.error)
    assert ["", "after:4"] == [call.request.resume_token for call in server.calls]


@pytest.mark.parametrize("method", ["stream_users", "batch_users"])
def test_retry_paused_scan(kind: str, method: str) -> None:
    """A message that brings no user but a token moves the scan on; the next attempt begins there."""
    response = pb.StreamUsersResponse if method == "stream_users" else pb.BatchUsersResponse
    first, _ = messages_of(USERS[:4], response=response, receipt=False)
    _, *rest = messages_of(USERS, response=response, resumed_count=1)
    pause = response(resume_token="further", progress=pb.StreamProgress(users_sent=2))
    with ScriptedServer([first, pause, AWAY], rest) as server:
        seen = read_users(kind, server.target, method=method)

    assert (IDS, None) == (ids(seen.users), seen.error)
    assert ["", "further"] == [call.request.resume_token for call in server.calls]


def test_retry_before_the_first_row(kind: str) -> None:
    """A server that is away at first is asked again, from the start."""
    with ScriptedServer([AWAY], [AWAY], scan_script(USERS)) as server:
        seen = read_users(kind, server.target)

    assert (IDS, 3) == (ids(seen.users), len(server.calls))


def test_retry_after_last_row(kind: str) -> None:
    """All users came but not the receipt: it is fetched, and no user comes twice."""
    whole = messages_of(USERS, receipt=False)
    end = messages_of(USERS, after=len(USERS))
    with ScriptedServer([*whole, AWAY], end) as server:
        seen = read_users(kind, server.target)

    assert (IDS, None) == (ids(seen.users), seen.error)
    assert seen.receipt
    assert "after:7" == server.calls[1].request.resume_token


def test_failure_after_the_receipt_is_no_failure(kind: str) -> None:
    """The receipt proves that nothing is missing, so nothing is asked for."""
    with ScriptedServer(scan_script(USERS, AWAY)) as server:
        seen = read_users(kind, server.target)

    assert (IDS, None, 1) == (ids(seen.users), seen.error, len(server.calls))


@pytest.mark.parametrize("method", ["stream_users", "batch_users"])
def test_no_call_when_nothing_remains_of_the_limit(kind: str, method: str) -> None:
    """An attempt that broke after the limit's last user ends the stream: no further call is made."""
    response = pb.StreamUsersResponse if method == "stream_users" else pb.BatchUsersResponse
    script = [*messages_of(USERS, receipt=False, response=response), AWAY]
    with ScriptedServer(script) as server:
        seen = read_users(kind, server.target, method=method, limit=7)

    assert (IDS, None, 1) == (ids(seen.users), seen.error, len(server.calls))
    assert seen.receipt
    assert receipt_of(USERS).user_id_crc32 == seen.receipt.user_id_crc32


def test_no_call_from_a_checkpoint_at_the_limit(kind: str) -> None:
    """Begun again where the limit was reached, a stream ends with its receipt and makes no call at all."""
    with ScriptedServer([*messages_of(USERS, receipt=False), AWAY]) as server:
        first = read_users(kind, server.target, limit=7)
        second = read_users(kind, server.target, limit=7, resume_token=first.checkpoint)

    assert ([], None, 1) == (second.users, second.error, len(server.calls))
    assert second.receipt
    assert (7, receipt_of(USERS).user_id_crc32) == (
        second.receipt.user_count,
        second.receipt.user_id_crc32,
    )


def test_repeated_failures_with_progress(kind: str) -> None:
    """Each attempt that brings something may be followed by another, whatever the limit of attempts."""
    breaking = [scan_script(USERS, AWAY, messages=1, per_message=1) for _ in range(7)]
    with ScriptedServer(*breaking, scan_script(USERS)) as server:
        seen = read_users(kind, server.target)

    assert (IDS, None) == (ids(seen.users), seen.error)


def test_gives_up_without_progress(kind: str) -> None:
    """The limit of attempts holds, the last failure is raised, and the checkpoint is kept."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=1), *[[AWAY]] * 9) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, UnavailableError)
    assert ("DATABASE_AWAY", QUICK.attempts) == (seen.error.reason, len(server.calls))
    assert (IDS[:2], "after:2") == (ids(seen.users), seen.checkpoint.resume_token)


@pytest.mark.parametrize(
    "failure",
    [
        Fail(grpc.StatusCode.ABORTED, reason="DEADLOCK"),
        Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="POOL_BUSY", retry_after_seconds=0.01),
        Fail(grpc.StatusCode.CANCELLED, "Stream removed (RST_STREAM (error code 8))"),
        Fail(grpc.StatusCode.DEADLINE_EXCEEDED, reason="LOCK_WAIT"),
    ],
    ids=lambda failure: failure.code.name,
)
def test_passing_failures_are_resumed(kind: str, failure: Fail) -> None:
    """A deadlock, a full pool that says when, a server's reset, a lock wait: all pass."""
    with ScriptedServer(scan_script(USERS, failure, messages=1), scan_script(USERS)) as server:
        seen = read_users(kind, server.target)

    assert (IDS, None) == (ids(seen.users), seen.error)


def test_retry_info_is_waited_for(kind: str) -> None:
    """The next attempt comes no sooner than the server asked."""
    full = Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="FULL", retry_after_seconds=0.3)
    with ScriptedServer([full], scan_script(USERS)) as server:
        begin = time.monotonic()
        seen = read_users(kind, server.target)

    assert seen.error is None
    assert time.monotonic() - begin >= 0.3


@pytest.mark.parametrize(
    ("failure", "kind_of_error"),
    [
        (Fail(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST"), InvalidRequestError),
        (Fail(grpc.StatusCode.INTERNAL, reason="INTERNAL"), InternalError),
        (Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="TOO_LARGE"), OverloadedError),
        (Fail(grpc.StatusCode.UNKNOWN, reason="UNKNOWN"), InternalError),
    ],
    ids=lambda value: value.code.name if isinstance(value, Fail) else "",
)
def test_final_failures_are_not_retried(
    kind: str, failure: Fail, kind_of_error: type[Exception]
) -> None:
    """The service's final word is raised at once."""
    with ScriptedServer(scan_script(USERS, failure, messages=1)) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, kind_of_error)
    assert 1 == len(server.calls)


def test_resuming_can_be_switched_off(kind: str) -> None:
    """The first failure is raised, behind the users that came."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=1)) as server:
        seen = read_users(kind, server.target, resume=None)

    assert isinstance(seen.error, UnavailableError)
    assert (IDS[:2], 1) == (ids(seen.users), len(server.calls))


def test_deadline_of_the_whole_call(kind: str) -> None:
    """The limit holds across attempts, and the server knows it."""
    with ScriptedServer(scan_script(USERS, Hang(), messages=1)) as server:
        begin = time.monotonic()
        seen = read_users(kind, server.target, timeout_seconds=0.4)
        took = time.monotonic() - begin

    assert isinstance(seen.error, DeadlineExceededError)
    assert IDS[:2] == ids(seen.users)
    assert 0.35 <= took < 5
    # A little more than given, because gRPC rounds the time it sends up.
    assert (server.calls[0].seconds_left or 99) <= 0.41


def test_a_quiet_stream_is_resumed(kind: str) -> None:
    """An attempt that brings nothing any more is ended and gone on from; a hung server is not waited for."""
    with ScriptedServer(scan_script(USERS, Hang(), messages=1), scan_script(USERS)) as server:
        seen = read_users(kind, server.target, attempt_timeout_seconds=0.3)
        assert server.calls[0].ended.wait(10)

    assert (IDS, None) == (ids(seen.users), seen.error)


def test_a_quiet_stream_without_resume(kind: str) -> None:
    """It is an error that says how long nothing came."""
    with ScriptedServer([Hang()]) as server:
        seen = read_users(kind, server.target, attempt_timeout_seconds=0.3, resume=None)

    assert isinstance(seen.error, DeadlineExceededError)
    assert "no message came for 0.3 seconds" == seen.error.message


def test_token_travels_with_every_attempt(kind: str) -> None:
    """Resumed calls are authenticated like the first."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=1), scan_script(USERS)) as server:
        read_users(kind, server.target, token="s3cret")

    assert ["Bearer s3cret"] * 2 == [call.metadata["authorization"] for call in server.calls]


def test_cancelled_by_the_service(kind: str) -> None:
    """CANCELLED as the service's own word is raised."""
    failure = Fail(grpc.StatusCode.CANCELLED, "closing", reason="CALL_CLOSED")
    with ScriptedServer([failure]) as server:
        seen = read_users(kind, server.target)

    assert isinstance(seen.error, CallCancelledError)
