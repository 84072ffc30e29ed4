"""How much metadata a call may carry."""

from collections.abc import Iterator
from contextlib import contextmanager

from userstream_server.errors import FieldViolation, InvalidRequestError
from userstream_server.interceptors.base import Call, CallInterceptor

__all__ = ["MetadataInterceptor"]

_PAIR_BYTES = 32
"""What HTTP/2 counts for each pair beside its text (RFC 9113, section 6.5.2)."""


class MetadataInterceptor(CallInterceptor):
    """Refuses calls with more metadata than the limit. gRPC itself refuses twice as much, without a reason.

    Args:
        max_bytes: The limit.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Check the metadata's size.

        Raises:
            InvalidRequestError: There is too much of it.
        """
        pairs = call.context.invocation_metadata()
        if sum(len(key) + len(value) + _PAIR_BYTES for key, value in pairs) > self._max_bytes:
            violation = FieldViolation("metadata", f"takes at most {self._max_bytes} bytes")
            raise InvalidRequestError([violation], reason="METADATA_TOO_LARGE")
        yield
