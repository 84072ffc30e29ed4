"""Waiting for what comes when it comes, instead of for a time."""

import time
from collections.abc import Callable

__all__ = ["until"]


def until(condition: Callable[[], object], within_seconds: float = 30) -> None:
    """Wait for something to become true; fail when it does not in time."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
