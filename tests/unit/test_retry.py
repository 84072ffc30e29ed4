"""The borders of waiting and giving up, and what is said about it."""

import logging

import grpc
import pytest
from userstream_client import (
    DeadlineExceededError,
    OverloadedError,
    ResumePolicy,
    UnavailableError,
    UserStreamError,
)
from userstream_client._retry import (
    DEFAULT_RESUME,
    Attempts,
    attempt_timeout_error,
    is_transient,
)

Code = grpc.StatusCode
GONE = UnavailableError("gone", code=Code.UNAVAILABLE)


class Clock:
    """A clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_default_policy() -> None:
    """What docs/operations.md promises of a client that says nothing."""
    assert ResumePolicy(15, 15, 0.1, 5.0) == DEFAULT_RESUME == ResumePolicy()


@pytest.mark.parametrize("text", ["", "no", "RST_STREAM (error code 8)", "network error"])
@pytest.mark.parametrize("code", Code)
def test_which_statuses_are_transient(code: grpc.StatusCode, text: str) -> None:
    """Three always are, four unless the service gave a reason; the text decides nothing."""
    always = {Code.UNAVAILABLE, Code.ABORTED, Code.DEADLINE_EXCEEDED}
    by_transport = {Code.RESOURCE_EXHAUSTED, Code.INTERNAL, Code.UNKNOWN, Code.CANCELLED}

    assert (code in always | by_transport) is is_transient(UserStreamError(text, code=code))
    assert (code in always) is is_transient(UserStreamError(text, code=code, reason="R"))


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_an_overload_that_says_when(seconds: float) -> None:
    """RESOURCE_EXHAUSTED with a time to retry is transient, also when it is at once."""
    full = OverloadedError(
        "full", code=Code.RESOURCE_EXHAUSTED, reason="FULL", retry_after_seconds=seconds
    )

    assert is_transient(full)


def test_the_client_s_own_limit_of_an_attempt() -> None:
    """The error has a reason of its own, says how long nothing came, and is transient."""
    error = attempt_timeout_error(2.50)

    assert ("ATTEMPT_TIMEOUT", Code.DEADLINE_EXCEEDED) == (error.reason, error.code)
    assert "no message came for 2.5 seconds" == error.message
    assert is_transient(error)


def test_the_limit_counts_from_the_beginning() -> None:
    """What is left of it falls with the clock, to 0."""
    clock = Clock()
    attempts = Attempts(DEFAULT_RESUME, 10, clock=clock)

    assert 10.0 == attempts.remaining_seconds()
    clock.now += 4
    assert 6.0 == attempts.remaining_seconds()
    clock.now += 7
    assert 0.0 == attempts.remaining_seconds()


HALF_A_SECOND = ResumePolicy(initial_backoff_seconds=0.5)


def test_a_wait_that_ends_before_the_limit() -> None:
    """An attempt that has any time left is made."""
    attempts = Attempts(HALF_A_SECOND, 0.75, clock=Clock(), jitter=lambda: 1.0)

    assert 0.5 == attempts.wait_after(GONE)


def test_a_wait_that_ends_with_the_limit() -> None:
    """An attempt that would begin when time is over is not waited for."""
    attempts = Attempts(HALF_A_SECOND, 0.5, clock=Clock(), jitter=lambda: 1.0)

    with pytest.raises(DeadlineExceededError) as caught:
        attempts.wait_after(GONE)

    assert "the time limit is over; last failure: gone" == caught.value.message
    assert (Code.DEADLINE_EXCEEDED, GONE) == (caught.value.code, caught.value.__cause__)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("", "too slow"),
        ("QUERY_TIME_LIMIT", "too slow"),
        ("ATTEMPT_TIMEOUT", "the time limit is over; last failure: too slow"),
    ],
)
def test_whose_word_is_raised_when_time_is_over(reason: str, message: str) -> None:
    """A deadline that is the server's or gRPC's says it already; the client's own limit of one attempt does not."""
    late = DeadlineExceededError("too slow", code=Code.DEADLINE_EXCEEDED, reason=reason)

    with pytest.raises(DeadlineExceededError) as caught:
        Attempts(DEFAULT_RESUME, 0.0, clock=Clock()).wait_after(late)

    assert message == caught.value.message


def test_long_runs_of_failures_do_not_overflow() -> None:
    """The wait stays at its maximum, however many attempts came before."""
    attempts = Attempts(ResumePolicy(attempts=2000, first_attempts=2000), None, jitter=lambda: 1.0)

    assert {5.0} == {attempts.wait_after(GONE) for _ in range(1500)} - {
        0.1,
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
    }


def test_every_wait_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line for the operator: how long, and after what."""
    caplog.set_level(logging.INFO, "userstream_client")
    Attempts(DEFAULT_RESUME, None, jitter=lambda: 0.5).wait_after(GONE)

    (line,) = caplog.messages
    assert line.endswith("in 0.1 s after: gone")
