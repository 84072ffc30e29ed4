"""What one call has done so far: for its log line, the metrics and its span."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

__all__ = ["CallAccount", "begin_account", "current_account"]


@dataclass(slots=True, eq=False)
class CallAccount:
    """Plain numbers that only the call's own thread writes, once a message; others add them up.

    Attributes:
        method: The RPC's name, such as `StreamUsers`.
        rows: Users sent, or counted for an average.
        messages: Messages sent; kept only with telemetry on.
        payload_bytes: Their size before HTTP/2's own bytes; kept only with telemetry on.
        more_follow: Whether messages that are ready follow the one sent just now; see `send_hints`.
        request_bytes: The request's size.
        resumed: Whether a stream went on from a token.
        reason: The error's fixed word; empty without an error.
        trace: The context that spans of this call belong to; None without traces.
    """

    method: str = ""
    rows: int = 0
    messages: int = 0
    payload_bytes: int = 0
    more_follow: bool = False
    request_bytes: int = 0
    resumed: bool = False
    reason: str = ""
    trace: Any = None


_current: ContextVar[CallAccount] = ContextVar("account")


def begin_account(method: str) -> CallAccount:
    """Open the account of the call that begins in this thread; the next call replaces it."""
    account = CallAccount(method)
    _current.set(account)
    return account


def current_account() -> CallAccount:
    """Return the running call's account; outside of any call, one that nobody reads."""
    return _current.get(None) or CallAccount()
