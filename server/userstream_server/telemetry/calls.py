"""Sums over all calls, ended and running, put together only when somebody asks.

A running call counts in its own account with plain additions. That costs a message some tens of
nanoseconds, where an OpenTelemetry counter takes microseconds, and long streams still show as they go.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from userstream.v1 import user_service_pb2 as pb

from userstream_server.account import CallAccount

__all__ = ["METHODS", "RunningCalls"]

Counted = Literal["rows", "messages", "payload_bytes", "resumed"]
_COUNTED: tuple[Counted, ...] = ("rows", "messages", "payload_bytes", "resumed")
METHODS = tuple(method.name for method in pb.DESCRIPTOR.services_by_name["UserService"].methods)


class RunningCalls:
    """The accounts of running calls, and the sums of those that have ended."""

    def __init__(self) -> None:
        """See the class."""
        self._lock = threading.Lock()
        self._running: set[CallAccount] = set()
        # From the first scrape on, so that a rate can be taken of the first call.
        self._ended = {name: Counter(dict.fromkeys(METHODS, 0)) for name in _COUNTED}

    def begin(self, account: CallAccount) -> None:
        """Take in a call's account."""
        with self._lock:
            self._running.add(account)

    def end(self, account: CallAccount) -> None:
        """Keep the numbers of a call and drop its account."""
        with self._lock:
            self._running.discard(account)
            for name in _COUNTED:
                self._ended[name][account.method] += getattr(account, name)

    def total(self, name: Counted) -> Mapping[str, int]:
        """Return a number's sum by method."""
        with self._lock:
            total = self._ended[name].copy()
            for account in self._running:
                total[account.method] += getattr(account, name)
        return total

    def active(self) -> Mapping[str, int]:
        """Return how many calls run just now, by method."""
        active = Counter(dict.fromkeys(METHODS, 0))
        with self._lock:
            active.update(account.method for account in self._running)
        return active
