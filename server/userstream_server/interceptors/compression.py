"""Compressed responses, for callers that ask for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from userstream_server.errors import FieldViolation, InvalidRequestError
from userstream_server.interceptors.base import Call, CallInterceptor

__all__ = ["CompressionInterceptor"]

_KEY = "x-userstream-compression"
_KINDS = {"gzip": grpc.Compression.Gzip, "identity": grpc.Compression.NoCompression}


class CompressionInterceptor(CallInterceptor):
    """Compresses the messages of calls whose metadata says so.

    The metadata that gRPC has for this, `grpc-accept-encoding`, is no request: most clients send it with every call,
    and compressing costs far more than all the rest of a call.

    Args:
        allowed: Whether to do so; otherwise the wish is checked and not fulfilled.
    """

    def __init__(self, *, allowed: bool) -> None:
        self._allowed = allowed

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Choose how the call's messages are compressed, before the first is sent.

        Raises:
            InvalidRequestError: The caller asks for a compression that does not exist here.
        """
        wishes = [value for key, value in call.context.invocation_metadata() if key == _KEY]
        for wish in wishes:
            if wish not in _KINDS:
                raise InvalidRequestError([FieldViolation(_KEY, f"takes {' or '.join(_KINDS)}")])
        if wishes and self._allowed:
            call.context.set_compression(_KINDS[str(wishes[-1])])
        yield
