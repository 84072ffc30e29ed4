"""Whether a failed call is retried, and after how long. No I/O here."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from userstream_client.errors import DeadlineExceededError, UserStreamError

__all__ = [
    "ATTEMPT_TIMEOUT",
    "DEFAULT_RESUME",
    "Attempts",
    "ResumePolicy",
    "attempt_timeout_error",
    "is_transient",
]

_log = logging.getLogger("userstream_client")

ATTEMPT_TIMEOUT = "ATTEMPT_TIMEOUT"
"""The reason of an attempt that the client itself ended because no message came for too long."""

_TRANSIENT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_TRANSIENT_WITHOUT_REASON = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
}
_BROKEN_CONNECTION = "stream removed"
"""gRPC's text for a connection that broke; for one that was never made it is "failed to connect".

It decides only how patient the client is (`ResumePolicy.first_attempts`), never whether it retries.
"""


@dataclass(frozen=True, slots=True)
class ResumePolicy:
    """How calls are retried and streams resumed after a failure.

    The wait before attempt n is drawn evenly from 0 to `initial_backoff_seconds` * 2**n, at most
    `max_backoff_seconds` ("full jitter"), plus what the server asked for.

    Attributes:
        attempts: The most attempts in a row that bring no message; each message begins a new count.
        first_attempts: The most attempts before the target has ever answered, as it may be mistyped.
        initial_backoff_seconds: The longest first wait.
        max_backoff_seconds: The longest wait.
    """

    attempts: int = 15
    first_attempts: int = 15
    initial_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0


DEFAULT_RESUME = ResumePolicy()


def attempt_timeout_error(limit_seconds: float) -> UserStreamError:
    """Return the error of an attempt that brought no message for too long."""
    return DeadlineExceededError(
        f"no message came for {limit_seconds:g} seconds",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
        reason=ATTEMPT_TIMEOUT,
    )


def is_transient(error: UserStreamError) -> bool:
    """Say whether the same call may succeed when it is made again.

    Every call only reads, so a retry is always safe; the question is whether it is of use. docs/clients.md
    has the rule. UNAVAILABLE, ABORTED and DEADLINE_EXCEEDED are worth a retry, whoever says so. Any other
    status with a reason is the service's own and final, unless it also says when to retry. Without a reason
    it comes from a library or a proxy. Their texts differ, so the status alone decides.
    """
    if error.code in _TRANSIENT:
        return True
    if not error.reason:
        return error.code in _TRANSIENT_WITHOUT_REASON
    return (
        error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after_seconds is not None
    )


class Attempts:
    """The attempts of one call: how many failed in a row, and how much time is left.

    Args:
        policy: How to retry; None never does.
        timeout_seconds: The limit of the whole call, from now; None for none.
        answered: Set once the target has answered any call; the calls of a client share it.
        clock: Monotonic time, in seconds.
        jitter: Draws evenly from 0 to 1.
    """

    def __init__(
        self,
        policy: ResumePolicy | None,
        timeout_seconds: float | None,
        *,
        answered: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._jitter = jitter
        self._deadline = None if timeout_seconds is None else clock() + timeout_seconds
        self._failed = 0
        self._answered = answered or threading.Event()

    def remaining_seconds(self) -> float | None:
        """Return what is left of the whole call's limit; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def progressed(self) -> None:
        """Begin a new count: the attempt brought a message."""
        self._failed = 0
        self._answered.set()

    def wait_after(self, error: UserStreamError) -> float:
        """Return how many seconds to wait before the next attempt.

        Args:
            error: Why the last one ended.

        Raises:
            UserStreamError: The error itself, when there must be no next attempt.
            DeadlineExceededError: The whole call's limit has passed, or would pass during the wait.
        """
        policy = self._policy
        if policy is None or not is_transient(error):
            raise error
        if error.reason not in {"", ATTEMPT_TIMEOUT} or _BROKEN_CONNECTION in error.message.lower():
            self._answered.set()
        self._failed += 1
        if self._failed >= (policy.attempts if self._answered.is_set() else policy.first_attempts):
            raise error
        wait = self._backoff_seconds(policy) + (error.retry_after_seconds or 0.0)
        remaining = self.remaining_seconds()
        if remaining is not None and wait >= remaining:
            raise self._limit_error(error) from error
        _log.info("retrying in %.1f s after: %s", wait, error.message)
        return wait

    def _backoff_seconds(self, policy: ResumePolicy) -> float:
        # Bounded, because many attempts would overflow the float.
        longest = policy.initial_backoff_seconds * 2.0 ** min(self._failed - 1, 60)
        return self._jitter() * min(policy.max_backoff_seconds, longest)

    def _limit_error(self, error: UserStreamError) -> UserStreamError:
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and error.reason != ATTEMPT_TIMEOUT:
            return error
        return DeadlineExceededError(
            f"the time limit is over; last failure: {error.message}",
            code=grpc.StatusCode.DEADLINE_EXCEEDED,
        )
