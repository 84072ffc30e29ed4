"""What the operating system tells the server: stop, or read your files again."""

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Literal

__all__ = ["Signals"]


class Signals:
    """SIGTERM and SIGINT end the server, SIGHUP reloads it; from now on, so that none is missed at the start.

    Args:
        stop_with_stdin: End also when standard input does; the process that started a worker holds it open.
    """

    def __init__(self, *, stop_with_stdin: bool) -> None:
        """See the class."""
        # Its put() may interrupt itself, which an Event's set() or a Queue's put() may not.
        self._events: SimpleQueue[Literal["stop", "reload"]] = SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put("stop"))
        signal.signal(signal.SIGHUP, lambda *_: self._events.put("reload"))
        # Whoever started this process as a worker has held the signal back until now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        if stop_with_stdin:
            threading.Thread(target=self._stop_with_stdin, daemon=True).start()

    def wait(self, reload: Callable[[], None]) -> None:
        """Reload whenever told to; return when told to stop."""
        while self._events.get() == "reload":
            reload()

    def _stop_with_stdin(self) -> None:
        # Not through sys.stdin, whose lock this thread would still hold when the interpreter ends.
        while os.read(0, 1024):
            pass
        self._events.put("stop")
