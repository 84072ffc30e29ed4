"""Totals over finished and running calls, added up only when they are scraped.

A running call counts in its own stats with plain additions. This costs tens of nanoseconds a message; an
OpenTelemetry counter takes microseconds. Long streams are still visible while they run.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from userstream.v1 import user_service_pb2 as pb

from userstream_server.call_stats import CallStats

__all__ = ["METHODS", "RunningCalls"]

Counted = Literal["rows", "messages", "payload_bytes", "resumed"]
_COUNTED: tuple[Counted, ...] = ("rows", "messages", "payload_bytes", "resumed")
METHODS = tuple(method.name for method in pb.DESCRIPTOR.services_by_name["UserService"].methods)


class RunningCalls:
    """The stats of running calls, and the totals of finished ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[CallStats] = set()
        # Every method starts at 0, so that the first scrape has it and a rate includes the first call.
        self._ended = {name: Counter(dict.fromkeys(METHODS, 0)) for name in _COUNTED}

    def begin(self, stats: CallStats) -> None:
        """Add a running call."""
        with self._lock:
            self._running.add(stats)

    def end(self, stats: CallStats) -> None:
        """Add a finished call to the totals and drop its stats."""
        with self._lock:
            self._running.discard(stats)
            for name in _COUNTED:
                self._ended[name][stats.method] += getattr(stats, name)

    def total(self, name: Counted) -> Mapping[str, int]:
        """Return one counter's total for each method."""
        with self._lock:
            total = self._ended[name].copy()
            for stats in self._running:
                total[stats.method] += getattr(stats, name)
        return total

    def active(self) -> Mapping[str, int]:
        """Return the number of running calls for each method."""
        active = Counter(dict.fromkeys(METHODS, 0))
        with self._lock:
            active.update(stats.method for stats in self._running)
        return active
