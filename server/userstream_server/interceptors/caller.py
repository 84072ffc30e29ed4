"""Who calls: a certificate's name, else a token, else an address; and all names that the caller has."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import grpc

from userstream_server.auth.certificate_names import CertificateName
from userstream_server.interceptors.peer_address import address_of

__all__ = ["as_caller", "caller_names", "caller_of"]

# gRPC runs each call in a context of its own; this one also ends with the block.
_known: ContextVar[str | None] = ContextVar("caller", default=None)
_names: ContextVar[tuple[CertificateName, ...]] = ContextVar("caller_names", default=())


@contextmanager
def as_caller(key: str, names: Iterable[CertificateName] = ()) -> Iterator[None]:
    """Note for the block who the call is from. What an outer block has noted stays.

    Args:
        key: Equal for all calls of one caller. It is compared and never shown.
        names: What it is called; added to the names that an outer block has noted.
    """
    before = _known.set(_known.get() or key)
    names_before = _names.set((*_names.get(), *names))
    try:
        yield
    finally:
        _names.reset(names_before)
        _known.reset(before)


def caller_of(context: grpc.ServicerContext) -> str:
    """Return the caller's key: what was noted, else its address."""
    return _known.get() or address_of(context.peer())


def caller_names() -> tuple[CertificateName, ...]:
    """Return all names of the running call's caller: those in its certificate, and that of its token."""
    return _names.get()
