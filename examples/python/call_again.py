"""When to call again, and after how long: docs/clients.md as code."""

import random
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

ALWAYS = {"UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED"}
WITHOUT_ERROR_INFO = {"RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "CANCELLED"}
ATTEMPTS_MAX = 15
FIRST_BACKOFF_SECONDS = 0.1


@dataclass
class CallError(Exception):
    """Why a call ended, with the details that the service gave."""

    code: str
    message: str
    reason: str = ""
    retry_delay_seconds: float | None = None
    field_violations: dict[str, str] = field(default_factory=dict)

    @property
    def calls_again(self) -> bool:
        """Whether another call may succeed. The text decides nothing: every library has its own."""
        if self.code in ALWAYS:
            return True
        if not self.reason:
            return self.code in WITHOUT_ERROR_INFO
        return self.code == "RESOURCE_EXHAUSTED" and self.retry_delay_seconds is not None


def error_of(error: Any) -> CallError:
    """Return what a grpc.RpcError says, its details decoded."""
    failure = CallError(error.code().name, error.details() or "")
    try:
        for detail in _details_of(error):
            _take(failure, detail)
    except DecodeError:
        pass  # Damaged details are none.
    return failure


def _details_of(error: Any) -> list[Any]:
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    return list(status.details)


def _take(failure: CallError, detail: Any) -> None:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    if detail.Unpack(info):
        failure.reason = info.reason
    if detail.Unpack(retry):
        failure.retry_delay_seconds = retry.retry_delay.ToMilliseconds() / 1000
    if detail.Unpack(bad):
        failure.field_violations = {v.field: v.description for v in bad.field_violations}


class Attempts:
    """The attempts of one call, and what is left of the caller's own limit."""

    def __init__(
        self,
        timeout_seconds: float | None,
        backoff_seconds_max: float,
        cancelled: threading.Event,
    ) -> None:
        self._deadline = timeout_seconds and time.monotonic() + timeout_seconds
        self._backoff_seconds_max = backoff_seconds_max
        self._cancelled = cancelled
        self._failed = 0

    def remaining_seconds(self) -> float | None:
        """Return what the next call's deadline must be; None for none."""
        return self._deadline and max(0.0, self._deadline - time.monotonic())

    def progressed(self) -> None:
        """Begin a new count: a message came."""
        self._failed = 0

    def wait_after(self, failure: CallError) -> None:
        """Wait before the next attempt, or raise the failure if there must be none."""
        self._failed += 1
        # A call that was cancelled here has the status CANCELLED, as some faults of the transport have.
        final = self._cancelled.is_set() or not failure.calls_again
        if final or self._failed >= ATTEMPTS_MAX:
            raise failure
        longest = min(self._backoff_seconds_max, FIRST_BACKOFF_SECONDS * 2 ** (self._failed - 1))
        wait = random.uniform(0, longest) + (failure.retry_delay_seconds or 0)
        remaining = self.remaining_seconds()
        if remaining is not None and wait >= remaining:
            raise CallError(
                "DEADLINE_EXCEEDED", f"the time limit is over; before: {failure.message}"
            )
        print(
            f"calling again in {wait:.3f} s after {failure.code}: {failure.message}",
            file=sys.stderr,
        )
        if self._cancelled.wait(wait):
            raise failure
