"""Signals: stop the server, or reload its files."""

import os
import signal
import threading
from collections.abc import Callable

__all__ = ["Signals"]

_TAKEN = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class Signals:
    """SIGTERM and SIGINT stop the server, SIGHUP reloads it. No signal is lost once this object exists.

    Create it before any other thread, because threads inherit the blocked signals.

    Args:
        stop_with_stdin: Also stop when standard input closes; the parent of a worker holds it open.
    """

    def __init__(self, *, stop_with_stdin: bool) -> None:
        # Blocked in every thread and taken with sigwait. A handler would run only when the main thread wakes,
        # which does not happen if the system delivers the signal to another thread.
        signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
        if stop_with_stdin:
            threading.Thread(target=_stop_with_stdin, daemon=True).start()

    def wait(self, reload: Callable[[], None]) -> None:
        """Call `reload` at each SIGHUP; return at SIGTERM or SIGINT."""
        while signal.sigwait(_TAKEN) == signal.SIGHUP:
            reload()


def _stop_with_stdin() -> None:
    # Not through sys.stdin: this thread would still hold its lock when the interpreter exits.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
