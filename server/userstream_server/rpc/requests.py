"""Reads a call's request: in time, within the size limit, and well-formed.

By default gRPC reads the request before our code runs. A call that sends none would then hold a
thread that nothing counts and nothing ends, and malformed bytes would be INTERNAL. So methods are
registered as if requests were streams, which is the same on the wire, and the one request is read here.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import grpc
from google.protobuf.message import DecodeError, Message

from userstream_server.call_stats import current_call_stats
from userstream_server.errors import CallCancelledError, FieldViolation, InvalidRequestError

__all__ = ["RequestReader"]


class RequestReader:
    """Reads requests.

    Args:
        max_bytes: The largest request; gRPC itself refuses twice as much, without a reason.
        awaiting: Returns the block that ends the call when its request does not arrive in time.
    """

    def __init__(
        self,
        max_bytes: int,
        awaiting: Callable[[grpc.ServicerContext], AbstractContextManager[None]],
    ) -> None:
        self._max_bytes = max_bytes
        self._awaiting = awaiting

    def read(
        self, of: type[Message], requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Message:
        """Return a call's request.

        Raises:
            InvalidRequestError: The request is missing, too large, or cannot be decoded.
            CallCancelledError: The call ended first.
        """
        try:
            with self._awaiting(context):
                raw = next(requests, None)
        except grpc.RpcError:  # how gRPC reports here that the call was cancelled
            raise CallCancelledError("CANCELLED", "The call was cancelled.") from None
        if raw is None:
            raise _refused("is missing", "MALFORMED_REQUEST")
        current_call_stats().request_bytes = len(raw)
        if len(raw) > self._max_bytes:
            raise _refused(f"takes at most {self._max_bytes} bytes", "REQUEST_TOO_LARGE")
        try:
            return of.FromString(raw)
        except DecodeError:
            name = of.DESCRIPTOR.name
            described = f"is not a valid {name}: broken encoding, or text that is not UTF-8"
            raise _refused(described, "MALFORMED_REQUEST") from None


def _refused(described: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError([FieldViolation("request", described)], reason=reason)
