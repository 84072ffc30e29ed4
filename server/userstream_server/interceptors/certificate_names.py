"""Mutual TLS: which clients may call, of those whose certificate a trusted authority signed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
import structlog

from userstream_server.auth.certificate_names import ClientNames
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
        known = _names(call.context)
        names = self._names()
        allowed = names.allowed(call.method.split("/")[1], known)
        if names.entries and allowed is None:
            raise AccessDeniedError(
                "CLIENT_NAME_REFUSED",
                "The name in this client's certificate is not on the server's list for this service.",
            )
        name = allowed or next(iter(known), "")
        structlog.contextvars.bind_contextvars(client_name=name)
        with as_caller(f"name:{name}"):
            yield


def _names(context: grpc.ServicerContext) -> list[str]:
    """Return the certificate's alternative names, or its common name where there are none."""
    found: Mapping[str, Any] = context.auth_context()  # bytes, whatever the types say
    names = found.get("x509_subject_alternative_name") or found.get("x509_common_name") or ()
    return [name.decode("utf-8", "replace") for name in names]
