"""What the operating system tells the server: stop, or read your files again."""

import os
import signal
import threading
from collections.abc import Callable

__all__ = ["Signals"]

_TAKEN = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class Signals:
    """SIGTERM and SIGINT end the server, SIGHUP reloads it; from now on, so that none is missed at the start.

    Make it before any other thread.

    Args:
        stop_with_stdin: End also when standard input does; the process that started a worker holds it open.
    """

    def __init__(self, *, stop_with_stdin: bool) -> None:
        # Held back in every thread and asked for one by one. A handler would wait until the main thread wakes,
        # which it does not where the system hands the signal to another thread.
        signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
        if stop_with_stdin:
            threading.Thread(target=_stop_with_stdin, daemon=True).start()

    def wait(self, reload: Callable[[], None]) -> None:
        """Reload whenever told to; return when told to stop."""
        while signal.sigwait(_TAKEN) == signal.SIGHUP:
            reload()


def _stop_with_stdin() -> None:
    # Not through sys.stdin, whose lock this thread would still hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
