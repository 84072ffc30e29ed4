import threading

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_client import (
    Checkpoint,
    DeadlineExceededError,
    InternalError,
    OverloadedError,
    ResumePolicy,
    UnavailableError,
    UserStreamError,
)
from userstream_client._retry import Attempts, attempt_timeout_error, is_transient
from userstream_client._scans import UserScan
from userstream_client.models import Consistency
from userstream_testing.scripted_server import begin_of, made_users, messages_of

GONE = UnavailableError("gone", code=grpc.StatusCode.UNAVAILABLE)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def scan(limit: int = 0, resume_token: str | Checkpoint = "") -> UserScan:
    request = pb.StreamUsersRequest(limit=limit)
    start = Checkpoint(resume_token) if isinstance(resume_token, str) else resume_token
    return UserScan("StreamUsers", request, start, Consistency.LIVE)


def test_waits_grow_up_to_their_limit() -> None:
    """The longest wait doubles with each failure in a row and stops growing at the maximum."""
    policy = ResumePolicy(
        attempts=9, first_attempts=9, initial_backoff_seconds=1, max_backoff_seconds=6
    )
    attempts = Attempts(policy, None, jitter=lambda: 1.0)

    assert [1, 2, 4, 6, 6] == [attempts.wait_after(GONE) for _ in range(5)]


def test_jitter_draws_from_the_whole_wait() -> None:
    """Clients that failed together do not come back together."""
    attempts = Attempts(
        ResumePolicy(initial_backoff_seconds=8, max_backoff_seconds=8), None, jitter=lambda: 0.25
    )

    assert 2.0 == attempts.wait_after(GONE)


def test_the_servers_wish_is_added_to_the_wait() -> None:
    """RetryInfo is the least wait, with jitter on top of it."""
    attempts = Attempts(ResumePolicy(), None, jitter=lambda: 0.5)
    error = OverloadedError("full", code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_seconds=3)

    assert 3.05 == attempts.wait_after(error)


def test_gives_up_after_so_many_failures_in_a_row() -> None:
    """The last failure itself is raised."""
    attempts = Attempts(ResumePolicy(attempts=3, first_attempts=3), None)
    attempts.wait_after(GONE)
    attempts.wait_after(GONE)

    with pytest.raises(UnavailableError) as raised:
        attempts.wait_after(GONE)

    assert GONE is raised.value


def test_progress_begins_a_new_count() -> None:
    """A scan of hours survives any number of failures, as long as each attempt brings something."""
    attempts = Attempts(ResumePolicy(attempts=2, first_attempts=2), None)

    for _ in range(100):
        assert attempts.wait_after(GONE) >= 0
        attempts.progressed()


def test_first_attempts_have_a_limit_of_their_own() -> None:
    """Before anything came, the target may simply be wrong."""
    attempts = Attempts(ResumePolicy(attempts=9, first_attempts=1), None)

    with pytest.raises(UnavailableError):
        attempts.wait_after(GONE)


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("Stream removed (Socket closed)", code=grpc.StatusCode.UNAVAILABLE),
        UnavailableError("later", code=grpc.StatusCode.UNAVAILABLE, reason="DATABASE_UNAVAILABLE"),
    ],
    ids=["lost connection", "service's word"],
)
def test_a_target_that_was_met_is_right(error: UserStreamError) -> None:
    """A connection that broke, and the service's own refusal, show that somebody is there."""
    attempts = Attempts(ResumePolicy(attempts=4, first_attempts=1), None)
    attempts.wait_after(error)
    attempts.wait_after(GONE)
    attempts.wait_after(GONE)

    with pytest.raises(UnavailableError):
        attempts.wait_after(GONE)


def test_a_quiet_target_is_not_met() -> None:
    """What never answers may be the wrong target, too."""
    attempts = Attempts(ResumePolicy(attempts=9, first_attempts=1), None)

    with pytest.raises(DeadlineExceededError):
        attempts.wait_after(attempt_timeout_error(1))


def test_calls_share_what_they_know_of_the_target() -> None:
    """What one call of a client met, the next one need not find out again."""
    answered = threading.Event()
    policy = ResumePolicy(attempts=9, first_attempts=1)
    Attempts(policy, None, answered=answered).progressed()

    assert Attempts(policy, None, answered=answered).wait_after(GONE) >= 0


def test_no_wait_beyond_the_whole_calls_limit() -> None:
    """The error says that time is over, and what went wrong last."""
    clock = Clock()
    attempts = Attempts(ResumePolicy(), 10, clock=clock, jitter=lambda: 1.0)
    clock.now += 9.95

    with pytest.raises(DeadlineExceededError, match="gone") as raised:
        attempts.wait_after(GONE)

    assert GONE is raised.value.__cause__


def test_remaining_seconds_never_fall_below_zero() -> None:
    """A deadline that has passed is a deadline of now."""
    clock = Clock()
    attempts = Attempts(None, 10, clock=clock)
    clock.now += 99

    assert 0.0 == attempts.remaining_seconds()


def test_switched_off_raises_the_first_failure() -> None:
    """Without a policy nothing is tried again."""
    with pytest.raises(UnavailableError):
        Attempts(None, None).wait_after(GONE)


@pytest.mark.parametrize(
    ("code", "reason", "message", "transient"),
    [
        ("UNAVAILABLE", "", "", True),
        ("UNAVAILABLE", "DATABASE_AWAY", "", True),
        ("ABORTED", "DEADLOCK", "", True),
        ("DEADLINE_EXCEEDED", "", "", True),
        ("INTERNAL", "", "(Stream removed (RST_STREAM (error code 2)))", True),
        ("CANCELLED", "", "(Stream removed (RST_STREAM (error code 8)))", True),
        ("RESOURCE_EXHAUSTED", "", "(Stream removed (RST_STREAM (error code 11)))", True),
        ("INTERNAL", "", "(upstream request timeout)", True),
        ("UNKNOWN", "", "(network error)", True),
        ("CANCELLED", "", "(CANCELLED)", True),
        ("RESOURCE_EXHAUSTED", "", "(CONSUMER_STALLED: Nothing was taken)", True),
        ("INTERNAL", "INTERNAL", "rst_stream", False),
        ("UNKNOWN", "ANY", "network error", False),
        ("CANCELLED", "CALL_CLOSED", "", False),
        ("RESOURCE_EXHAUSTED", "TOO_LARGE", "", False),
        ("UNIMPLEMENTED", "", "", False),
        ("INVALID_ARGUMENT", "INVALID_REQUEST", "", False),
        ("UNAUTHENTICATED", "TOKEN_REFUSED", "", False),
        ("FAILED_PRECONDITION", "TABLE_MISSING", "", False),
        ("DATA_LOSS", "", "", False),
    ],
)
def test_what_is_tried_again(code: str, reason: str, message: str, *, transient: bool) -> None:
    """What the transport broke, or the service calls passing; never the service's final word."""
    error = UserStreamError(message, code=grpc.StatusCode[code], reason=reason)

    assert transient is is_transient(error)


def test_a_quiet_attempt_is_tried_again() -> None:
    """The client's own verdict counts as a broken connection."""
    assert is_transient(attempt_timeout_error(1))


def test_an_error_of_no_status_is_final() -> None:
    """What the client itself found wrong does not become right."""
    assert not is_transient(InternalError("?"))


@given(
    user_count=st.integers(0, 40),
    per_message=st.integers(1, 7),
    breaks=st.lists(st.integers(0, 6), max_size=12),
    limit=st.integers(0, 45),
)
def test_breaks_anywhere_change_nothing(
    user_count: int, per_message: int, breaks: list[int], limit: int
) -> None:
    """Wherever attempts break off, the users are those of an unbroken scan, and so is the receipt."""
    everyone = made_users(user_count)
    wanted = everyone[:limit] if limit else everyone
    reading = scan(limit)
    got: list[str] = []

    for sent in [*breaks, 10**6]:
        if reading.done:
            break
        after, resumed = begin_of(reading.next_request().resume_token)
        for message in messages_of(
            wanted, per_message=per_message, after=after, resumed_count=resumed
        )[:sent]:
            got += [user.user_id for user in reading.receive(message.SerializeToString())]
    reading.finish()

    assert [user.user_id for user in wanted] == got
    assert reading.verifier.receipt is not None
    assert len(wanted) == reading.verifier.receipt.user_count


@given(user_count=st.integers(1, 30), stop=st.integers(0, 30), per_message=st.integers(1, 5))
def test_a_checkpoint_verifies_across_processes(
    user_count: int, stop: int, per_message: int
) -> None:
    """A new scan from another's checkpoint checks the receipt from the very first user on."""
    everyone = made_users(user_count)
    first = scan()
    for message in messages_of(everyone, per_message=per_message, receipt=False)[:stop]:
        first.receive(message.SerializeToString())
    second = scan(resume_token=first.verifier.checkpoint)
    after, resumed = begin_of(second.next_request().resume_token)

    for message in messages_of(
        everyone, per_message=per_message, after=after, resumed_count=resumed
    ):
        second.receive(message.SerializeToString())
    second.end()

    assert user_count == second.verifier.checkpoint.user_count


def test_a_bare_token_still_checks_the_count() -> None:
    """The count comes from the progress; the CRC-32 of users never seen cannot be known."""
    everyone = made_users(6)
    reading = scan(resume_token="after:4")

    (last,) = messages_of(everyone, after=4)
    reading.receive(last.SerializeToString())

    assert Checkpoint("after:6:1", 6, None, everyone[-1].user_id) == reading.verifier.checkpoint


def test_requests_differ_in_their_token_only() -> None:
    """A resumed scan is the same request, as its token is bound to it."""
    reading = scan(limit=6)
    first = pb.StreamUsersRequest.FromString(reading.next_request().SerializeToString())
    reading.receive(messages_of(made_users(6))[0].SerializeToString())
    second = pb.StreamUsersRequest.FromString(reading.next_request().SerializeToString())

    assert ("", "after:2") == (first.resume_token, second.resume_token)
    first.resume_token = second.resume_token
    assert first == second
