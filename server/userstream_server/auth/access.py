"""Who may call, and read what: tokens, names in client certificates and TLS files, reloaded without a restart."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from userstream_server.auth.bearer_tokens import AuthTokens
from userstream_server.auth.certificate_names import ClientNames
from userstream_server.auth.field_rules import FieldRules
from userstream_server.auth.tls import Certificates

if TYPE_CHECKING:
    import grpc

__all__ = ["Access"]

_log = structlog.get_logger()


class Access:
    """The files and the allow-list that decide who may call.

    Args:
        tls_cert: PEM file with the server's certificate chain; None for plaintext.
        tls_key: PEM file with its private key.
        tls_client_ca: PEM file with the authorities that sign client certificates; None for no mutual TLS.
        tls_client_names: The allow-list of names in client certificates, as text.
        tokens_file: File of bearer tokens; None if calls need none.
        fields_allowed: Which callers may read which fields, as text.

    Attributes:
        tokens: The bearer tokens; None when calls need none.
        client_names: The allow-list; None without mutual TLS.
        fields: Which callers may read which fields.
        credentials: The port's TLS credentials; None for plaintext.

    Raises:
        OSError: A file of certificates or tokens cannot be read.
        ValueError: The file of tokens holds none.
    """

    def __init__(
        self,
        *,
        tls_cert: Path | None,
        tls_key: Path | None,
        tls_client_ca: Path | None,
        tls_client_names: str,
        tokens_file: Path | None,
        fields_allowed: str = "",
    ) -> None:
        self._certificates = None
        self.credentials: grpc.ServerCredentials | None = None
        if tls_cert and tls_key:
            self._certificates = Certificates(tls_cert, tls_key, tls_client_ca)
            self.credentials = self._certificates.credentials()
        self.client_names = ClientNames.parse(tls_client_names) if tls_client_ca else None
        self.tokens = AuthTokens(tokens_file) if tokens_file else None
        self.fields = FieldRules.parse(fields_allowed)

    def reload(self, tls_client_names: str, fields_allowed: str = "") -> None:
        """Read tokens and certificates again and use new allow-lists. A file that cannot be read changes nothing."""
        self.fields = FieldRules.parse(fields_allowed)
        if self._certificates:
            _attempt(self._certificates.reload)
        if self.client_names is not None:
            self.client_names = ClientNames.parse(tls_client_names)
        if self.tokens:
            _attempt(self.tokens.reload)


def _attempt(reload: Callable[[], None]) -> None:
    try:
        reload()
    except (OSError, ValueError) as error:
        # The text of an OSError names the path and no secret; our own names neither.
        _log.error("reload_failed", message=str(error))
