"""What one call has done so far: for its log line, the metrics and its span."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

__all__ = ["CallStats", "begin_call_stats", "current_call_stats"]


@dataclass(slots=True, eq=False)
class CallStats:
    """Plain numbers that only the call's own thread writes, once per message; others add them up.

    Attributes:
        method: The RPC's name, such as `StreamUsers`.
        rows: Users sent, or counted for an average.
        messages: Messages sent; kept only with telemetry on.
        payload_bytes: Their size before HTTP/2's own bytes; kept only with telemetry on.
        request_bytes: The request's size.
        resumed: Whether a stream continues from a token.
        reason: The error's fixed reason; empty without an error.
        trace: The context that spans of this call belong to; None without traces.
    """

    method: str = ""
    rows: int = 0
    messages: int = 0
    payload_bytes: int = 0
    request_bytes: int = 0
    resumed: bool = False
    reason: str = ""
    trace: Any = None


_current: ContextVar[CallStats] = ContextVar("call_stats")


def begin_call_stats(method: str) -> CallStats:
    """Open the stats of the call that begins in this thread; the next call replaces it."""
    stats = CallStats(method)
    _current.set(stats)
    return stats


def current_call_stats() -> CallStats:
    """Return the running call's stats; outside of any call, one that nobody reads."""
    return _current.get(None) or CallStats()
