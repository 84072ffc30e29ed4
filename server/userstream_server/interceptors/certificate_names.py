"""Mutual TLS: which clients may call, of those whose certificate a trusted authority signed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import structlog

from userstream_server.auth.certificate_names import (
    CertificateName,
    ClientNames,
    names_in_certificate,
)
from userstream_server.errors import AccessDeniedError
from userstream_server.interceptors.base import Call, CallInterceptor
from userstream_server.interceptors.caller import as_caller

__all__ = ["CertificateNameInterceptor"]


class CertificateNameInterceptor(CallInterceptor):
    """Refuses clients whose certificate has none of the allowed names.

    Args:
        names: Returns the allow-list in force; an empty one accepts every certificate.
    """

    def __init__(self, names: Callable[[], ClientNames]) -> None:
        self._names = names

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Check the certificate's names; the caller is then known by the one that was allowed.

        Raises:
            AccessDeniedError: None of them is allowed to call this service.
        """
        # Bytes, whatever the types say.
        known = names_in_certificate(cast("Any", call.context.auth_context()))
        names = self._names()
        allowed = names.allowed(call.method.split("/")[1], known)
        if names.entries and allowed is None:
            raise AccessDeniedError(
                "CLIENT_NAME_REFUSED",
                "The name in this client's certificate is not on the server's list for this service.",
            )
        name = allowed or next(iter(known), CertificateName("", ""))
        structlog.contextvars.bind_contextvars(client_name=name.shown)
        with as_caller(f"name:{name.kind}:{name.text}", known):
            yield
