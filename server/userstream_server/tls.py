"""The server's TLS, re-read when its files change, so that a rotated certificate needs no restart."""

from pathlib import Path
from typing import Any

import grpc
import structlog

__all__ = ["server_credentials"]

_log = structlog.get_logger()


class _Files:
    """Certificate, key and client authorities, with the times they were last changed."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen: tuple[int, ...] = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Read them now."""
        self._seen = self._times()
        ca = self._client_ca.read_bytes() if self._client_ca else None
        pair = (self._key.read_bytes(), self._cert.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=ca)

    def read_if_changed(self) -> Any:
        """Read them if they changed; None leaves gRPC with what it has. Called at every handshake."""
        try:
            return self.read() if self._times() != self._seen else None
        except OSError:
            # In the middle of a rotation a file can be missing for a moment.
            _log.warning("certificate_unreadable")
            return None

    def _times(self) -> tuple[int, ...]:
        files = [self._cert, self._key, *([self._client_ca] if self._client_ca else [])]
        return tuple(file.stat().st_mtime_ns for file in files)


def server_credentials(cert: Path, key: Path, client_ca: Path | None) -> grpc.ServerCredentials:
    """Return credentials for a port.

    Args:
        cert: PEM file with the certificate chain.
        key: PEM file with its key.
        client_ca: PEM file with the authorities of client certificates; set, clients must show one.

    Raises:
        OSError: A file cannot be read.
    """
    files = _Files(cert, key, client_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.read(), files.read_if_changed, require_client_authentication=client_ca is not None
    )
