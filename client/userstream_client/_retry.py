"""When a call that failed goes on, and after how long. Nothing here touches a network or a clock of its own."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from userstream_client.errors import DeadlineExceededError, UserStreamError

__all__ = ["DEFAULT_RESUME", "QUIET", "Attempts", "ResumePolicy", "is_transient"]

_log = logging.getLogger("userstream_client")

QUIET = "ATTEMPT_TIMEOUT"
"""The reason of an attempt that the client itself gave up because nothing came any more."""

_ALWAYS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_BY_TRANSPORT = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
}
# Not "stream removed", which gRPC also says of a channel that its own side closed.
_TRANSPORT_WORDS = (
    "rst_stream",
    "goaway",
    "unexpected eos",
    "connection reset",
    "consumer_stalled",
    # All that gRPC says of a call that came in the very moment in which its server stopped.
    "(cancelled)",
)
_LOST_WORDS = "stream removed"
"""What gRPC says of a connection that was there and broke; one that never was "failed to connect"."""


@dataclass(frozen=True, slots=True)
class ResumePolicy:
    """How streams go on after a failure.

    The wait before attempt n is drawn evenly from 0 to `initial_backoff_seconds` * 2**n, at most
    `max_backoff_seconds` ("full jitter"), plus what the server asked for.

    Attributes:
        attempts: The most attempts in a row that bring nothing; each message begins a new count.
        first_attempts: The most attempts before anything came from the target at all, when that may be wrong.
        initial_backoff_seconds: The longest first wait.
        max_backoff_seconds: The longest wait.
    """

    attempts: int = 15
    first_attempts: int = 15
    initial_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0


DEFAULT_RESUME = ResumePolicy()


def is_transient(error: UserStreamError) -> bool:
    """Say whether the same call may well succeed when it is made again.

    Every call only reads, so making it again is always safe; the question is whether it is of use.
    gRPC makes UNAVAILABLE of a lost connection, GOAWAY and RST_STREAM with REFUSED_STREAM, but
    CANCELLED of RST_STREAM with CANCEL, RESOURCE_EXHAUSTED of ENHANCE_YOUR_CALM, and INTERNAL of most
    others (tests/unit/test_client_transport.py). A consumer that has rested for longer than the server
    waits gets RESOURCE_EXHAUSTED with CONSUMER_STALLED in its text alone. The same codes with an ErrorInfo
    are the service's own word, and final unless it says when to try again.
    """
    if error.code in _ALWAYS:
        return True
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after_seconds is not None:
        return True
    if error.code in _BY_TRANSPORT and not error.reason:
        return any(word in error.message.lower() for word in _TRANSPORT_WORDS)
    return False


class Attempts:
    """The attempts of one call: how many failed in a row, and how much time is left.

    Args:
        policy: How to go on; None never does.
        timeout_seconds: The limit of the whole call, from now; None for none.
        met: Set once anything came from the target, also in another call; those of a client share one.
        clock: Seconds that only grow.
        jitter: Draws evenly from 0 to 1.
    """

    def __init__(
        self,
        policy: ResumePolicy | None,
        timeout_seconds: float | None,
        *,
        met: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._jitter = jitter
        self._deadline = None if timeout_seconds is None else clock() + timeout_seconds
        self._failed = 0
        self._met = met or threading.Event()

    def remaining_seconds(self) -> float | None:
        """Return what is left of the whole call's limit; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def progressed(self) -> None:
        """Begin a new count: the attempt brought something."""
        self._failed = 0
        self._met.set()

    def wait_after(self, error: UserStreamError) -> float:
        """Return how many seconds to wait before the next attempt.

        Args:
            error: Why the last one ended.

        Raises:
            UserStreamError: The error itself, when there must be no next attempt.
            DeadlineExceededError: The whole call's limit is over, or would be after the wait.
        """
        policy = self._policy
        if policy is None or not is_transient(error):
            raise error
        if error.reason not in {"", QUIET} or _LOST_WORDS in error.message.lower():
            self._met.set()
        self._failed += 1
        if self._failed >= (policy.attempts if self._met.is_set() else policy.first_attempts):
            raise error
        wait = self._backoff_seconds(policy) + (error.retry_after_seconds or 0.0)
        remaining = self.remaining_seconds()
        if remaining is not None and wait >= remaining:
            raise self._over(error) from error
        _log.info("going on in %.1f s after: %s", wait, error.message)
        return wait

    def _backoff_seconds(self, policy: ResumePolicy) -> float:
        # The exponent is bounded, or a long run of attempts would overflow the float.
        longest = policy.initial_backoff_seconds * 2.0 ** min(self._failed - 1, 60)
        return self._jitter() * min(policy.max_backoff_seconds, longest)

    def _over(self, error: UserStreamError) -> UserStreamError:
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and error.reason != QUIET:
            return error
        return DeadlineExceededError(
            f"the time limit is over; last failure: {error.message}",
            code=grpc.StatusCode.DEADLINE_EXCEEDED,
        )
