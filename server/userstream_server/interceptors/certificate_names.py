"""Mutual TLS: which of the clients that an authority vouches for may call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc
import structlog

from userstream_server.auth.certificate_names import (
    CertificateName,
    ClientNames,
    names_in_certificate,
)
from userstream_server.errors import AccessDeniedError
from userstream_server.interceptors.base import SurroundingInterceptor
from userstream_server.interceptors.caller import as_caller

__all__ = ["ClientNameInterceptor"]


class ClientNameInterceptor(SurroundingInterceptor):
    """Refuses clients whose certificate has none of the allowed names.

    Args:
        names: Returns the allow-list in force; an empty one accepts every certificate.
    """

    def __init__(self, names: Callable[[], ClientNames]) -> None:
        self._names = names

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """See the base class."""
        # Bytes, whatever the types say.
        known = names_in_certificate(cast("Any", context.auth_context()))
        names = self._names()
        allowed = names.allowed(method.split("/")[1], known)
        if names.entries and allowed is None:
            raise AccessDeniedError(
                "CLIENT_NAME_REFUSED",
                "The name in this client's certificate is not on the server's list for this service.",
            )
        name = allowed or next(iter(known), CertificateName("", ""))
        structlog.contextvars.bind_contextvars(client_name=name.shown)
        with as_caller(f"name:{name.kind}:{name.text}"):
            yield
