"""How many calls may run at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from userstream_server.errors import OverloadedError
from userstream_server.interceptors.surrounding import REFLECTION, SurroundingInterceptor

__all__ = ["LimitInterceptor"]


class LimitInterceptor(SurroundingInterceptor):
    """Refuses calls beyond the limit at once, so that a caller can go elsewhere.

    Args:
        streams_max: The most calls at once.
    """

    def __init__(self, streams_max: int) -> None:
        """See the class."""
        self._free = threading.BoundedSemaphore(streams_max)

    def applies_to(self, method: str) -> bool:
        """Count the service's own calls only."""
        return super().applies_to(method) and not method.startswith(REFLECTION)

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:  # noqa: ARG002
        """See the base class."""
        if not self._free.acquire(blocking=False):
            raise OverloadedError(
                "TOO_MANY_CALLS",
                "This server has as many calls as it takes. Try again, or another one.",
            )
        try:
            yield
        finally:
            self._free.release()
