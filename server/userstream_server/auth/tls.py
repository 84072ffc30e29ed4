"""The server's TLS files, read again when they change, so that a rotated certificate needs no restart."""

import ssl
from pathlib import Path
from typing import Any

import grpc
import structlog

__all__ = ["Certificates", "expiry_of"]

_log = structlog.get_logger()
_FLIGHTS = 4
"""More flights of messages than a TLS handshake has."""


class Certificates:
    """Certificate, key and client authorities, and when they last changed.

    Each new connection uses the files' current content; existing connections and their streams continue.

    Args:
        cert: PEM file with the certificate chain.
        key: PEM file with its key.
        client_ca: PEM file with the authorities of client certificates; if set, clients must present one.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        """Keep the paths; nothing is read yet."""
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen: tuple[tuple[int, int], ...] = ()

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a port.

        Raises:
            OSError: A file cannot be read.
        """
        return grpc.dynamic_ssl_server_credentials(
            self._read(),
            self._read_if_changed,
            require_client_authentication=self._client_ca is not None,
        )

    def reload(self) -> None:
        """Make the next connection read the files even if their times have not changed.

        Raises:
            ValueError: They cannot be used; gRPC continues with the old ones.
        """
        self._seen = ()
        expiry_of(self._cert, self._key, self._client_ca)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        self._seen = self._times()
        ca = self._client_ca.read_bytes() if self._client_ca else None
        pair = (self._key.read_bytes(), self._cert.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=ca)

    def _read_if_changed(self) -> Any:
        """Read them if they changed; None makes gRPC keep what it has. Called at every handshake."""
        try:
            return self._read() if self._times() != self._seen else None
        except OSError:
            # During a rotation a file may be missing for a moment.
            _log.warning("certificate_unreadable")
            return None

    def _times(self) -> tuple[tuple[int, int], ...]:
        files = [self._cert, self._key, *([self._client_ca] if self._client_ca else [])]
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in (file.stat() for file in files))


def expiry_of(cert: Path, key: Path, client_ca: Path | None) -> str:
    """Test a server's files with a handshake in memory; return when the certificate expires.

    Raises:
        ValueError: A file cannot be read, the files do not match, or the certificate is not valid now.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # Whether clients trust its authority is not tested here.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        server.load_cert_chain(cert, key, password="")
        client.load_verify_locations(cert)
        if client_ca is not None:
            server.load_verify_locations(client_ca)
        return _handshake(server, client)
    except ssl.SSLCertVerificationError as error:
        raise ValueError(f"the certificate is not valid: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise ValueError(
            f"certificate, key or client authorities do not fit together or are not PEM"
            f" ({error.reason or 'unreadable'})"
        ) from None
    except OSError as error:
        raise ValueError(f"{error.filename or cert} cannot be read") from None


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    for _ in range(_FLIGHTS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return str((ends[0].getpeercert() or {}).get("notAfter", "unknown"))
