"""How running calls end while the server stops.

gRPC closes a connection as soon as its last call has ended, and a call's connection when the drain time is
over. Both lose data that the peer has not read yet: it reaches a closed socket, which answers with a reset.
Behind a proxy, the caller then sees an error such as INTERNAL instead of OK or a status that says to resume.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from userstream_server.errors import CallCancelledError, UnavailableError
from userstream_server.interceptors.base import Call, CallInterceptor, MessageHook

__all__ = ["DrainInterceptor"]

_LINGER_SECONDS = 1.0
"""Enough for the last message to arrive, also behind a proxy that holds back what its own client has not read."""


class _EndAfterMessage(MessageHook):
    """Ends a stream after the message that was just sent; all calls share one.

    Attributes:
        over: Whether the drain time is over.
    """

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False

    def sent(self) -> None:
        """End the stream if the drain time is over.

        Raises:
            UnavailableError: It is.
        """
        if self.over:
            raise _stopping()


class DrainInterceptor(CallInterceptor):
    """Lets calls arrive completely while the server drains, and ends those that outlast it."""

    def __init__(self) -> None:
        self._draining = False
        self._hook = _EndAfterMessage()

    def begin(self) -> None:
        """From now on, send a call's status a moment after its last message."""
        self._draining = True

    def end_calls(self) -> None:
        """End every stream UNAVAILABLE after the message it is sending. The caller also interrupts their queries."""
        self._hook.over = True

    @contextmanager
    def around(self, call: Call) -> Iterator[MessageHook]:
        """Tell a query that was interrupted by the drain from one whose caller went away."""
        try:
            yield self._hook
        except CallCancelledError:
            if self._hook.over and call.context.is_active():
                raise _stopping() from None
            raise
        finally:
            if self._draining and call.context.is_active():
                time.sleep(_LINGER_SECONDS)


def _stopping() -> UnavailableError:
    return UnavailableError(
        "SERVER_STOPPING", "This server is stopping. Resume from the last token at another one."
    )
