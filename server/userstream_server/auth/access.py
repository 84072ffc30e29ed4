"""Who may call: tokens, names of certificates, and the certificates themselves, re-read while calls run."""

from collections.abc import Callable

import grpc
import structlog

from userstream_server.auth.bearer_tokens import AuthTokens
from userstream_server.auth.certificate_names import ClientNames
from userstream_server.auth.tls import Certificates
from userstream_server.interceptors.authentication import AuthInterceptor
from userstream_server.interceptors.certificate_names import ClientNameInterceptor
from userstream_server.settings import ServerSettings

__all__ = ["Access"]

_log = structlog.get_logger()
_Reload = Callable[[ServerSettings], None]


class Access:
    """What the settings say about who may call.

    Args:
        settings: The settings.

    Attributes:
        interceptors: What refuses everybody else, outermost first.

    Raises:
        OSError: A file of certificates or tokens cannot be read.
        ValueError: The file of tokens holds none.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """See the class."""
        self.interceptors: list[grpc.ServerInterceptor] = []
        self._credentials = None
        self._reloads: list[_Reload] = []
        if settings.tls_cert and settings.tls_key:
            certificates = Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
            self._credentials = certificates.credentials()
            self._reloads.append(lambda _: certificates.reload())
        if settings.tls_client_ca:
            names = ClientNameInterceptor(ClientNames.parse(settings.tls_client_names))
            self.interceptors.append(names)
            self._reloads.append(lambda new: names.replace(ClientNames.parse(new.tls_client_names)))
        if settings.auth_tokens_file:
            tokens = AuthTokens(settings.auth_tokens_file)
            self.interceptors.append(AuthInterceptor(tokens))
            self._reloads.append(lambda _: tokens.reload())

    @property
    def credentials(self) -> grpc.ServerCredentials | None:
        """For the port; None for plaintext."""
        return self._credentials

    def reload(self, settings: ServerSettings) -> None:
        """Read tokens, names and certificates again; what cannot be read stays as it was."""
        for reload in self._reloads:
            try:
                reload(settings)
            except (OSError, ValueError) as error:
                # An OSError's text has a path in it, and no secret; ours has neither.
                _log.error("reload_failed", message=str(error))
