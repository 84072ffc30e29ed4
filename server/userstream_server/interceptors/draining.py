"""Ends running calls properly when the server's drain time is over.

gRPC alone would close their connections. A caller then sees whatever its proxy makes of that, such as INTERNAL
from a reset stream, instead of a status that says to resume elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from userstream_server.errors import CallCancelledError, UnavailableError
from userstream_server.interceptors.base import Call, CallInterceptor, MessageHook

__all__ = ["DrainInterceptor"]


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
    """Ends calls UNAVAILABLE with details, once told to."""

    def __init__(self) -> None:
        self._hook = _EndAfterMessage()

    def end_calls(self) -> None:
        """End every stream after the message it is sending; whoever calls this interrupts the queries, too."""
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


def _stopping() -> UnavailableError:
    return UnavailableError(
        "SERVER_STOPPING", "This server is stopping. Resume from the last token at another one."
    )
