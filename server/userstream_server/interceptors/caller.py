"""Who calls: a certificate's name, else a token, else an address."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import grpc

__all__ = ["as_caller", "caller_of"]

# gRPC runs each call in a context of its own; this one also ends with the block.
_known: ContextVar[str | None] = ContextVar("caller", default=None)


@contextmanager
def as_caller(key: str) -> Iterator[None]:
    """Note for the block who the call is from. What an outer block has noted stays.

    Args:
        key: Equal for all calls of one caller. It is compared and never shown.
    """
    before = _known.set(_known.get() or key)
    try:
        yield
    finally:
        _known.reset(before)


def caller_of(context: grpc.ServicerContext) -> str:
    """Return the caller's key: what was noted, else its address without the port."""
    return _known.get() or context.peer().rpartition(":")[0]
