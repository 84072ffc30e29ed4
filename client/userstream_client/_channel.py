"""How to reach a server: target, credentials and channel options, from arguments and settings.

Imported when the first client is created, because pydantic-settings takes longer to import than gRPC.
"""

import ipaddress
import json
import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from userstream_client._messages import SERVICE_NAME
from userstream_client._retry import ResumePolicy
from userstream_client._settings import ClientSettings, load_settings
from userstream_client.errors import SettingsError
from userstream_client.models import TlsOptions

__all__ = ["Connection", "connection_from"]

_HEALTH_SECONDS = 10.0
_MESSAGE_BYTES_MAX = 64 * 1024 * 1024  # 10,000 users of the longest name and e-mail are about 20 MB
_COMPRESSIONS = ("none", "gzip")
_LOOPBACK_NAMES = {"localhost", "ip6-localhost"}

Option = tuple[str, int | str]
Metadata = tuple[tuple[str, str], ...]


_OPTIONS: tuple[Option, ...] = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    # A client that reconnects must not get its old connection back.
    ("grpc.use_local_subchannel_pool", 1),
    # A vanished machine is noticed after 10 + 5 seconds, by TCP's limit. A hung process on a live machine is
    # noticed by gRPC's limit of 60 s on pings. That stays, because pings wait behind data on slow links.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Reconnect soon to a server that restarts; the default backs off to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # This client resumes with tokens; gRPC's own retries end at the first message.
    ("grpc.enable_retries", 0),
)
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": SERVICE_NAME},
}
_BALANCING: tuple[Option, ...] = (("grpc.service_config", json.dumps(_SERVICE_CONFIG)),)


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that a client needs for its calls, checked.

    Attributes:
        target: In gRPC's form.
        credentials: None for plaintext.
        options: Channel options.
        balancing: Further options for a target of several addresses; empty for one.
        metadata: Sent with every call. It holds the token, so it is never shown.
        timeout_seconds: The limit of a whole call; None for none.
        attempt_timeout_seconds: The longest wait for a message.
        resume: How to retry and resume; None never does.
    """

    target: str
    credentials: grpc.ChannelCredentials | None
    options: tuple[Option, ...]
    balancing: tuple[Option, ...]
    metadata: Metadata = field(repr=False)
    timeout_seconds: float | None
    attempt_timeout_seconds: float
    resume: ResumePolicy | None

    @property
    def health_timeout_seconds(self) -> float:
        """The limit of a health check."""
        return min(self.timeout_seconds or _HEALTH_SECONDS, self.attempt_timeout_seconds)

    def channel_arguments(
        self, *, balanced: bool
    ) -> tuple[str, grpc.ChannelCredentials | None, list[Option]]:
        """Return target, credentials and options of a channel.

        Args:
            balanced: Whether to call only servers that are SERVING. A health check calls the others too.
        """
        options = [*self.options, *(self.balancing if balanced else ())]
        return self.target, self.credentials, options


def connection_from(
    target: str | None,
    *,
    tls: TlsOptions | None,
    token: str | None,
    timeout_seconds: float | None,
    attempt_timeout_seconds: float | None,
    resume: ResumePolicy | None,
    profile: str | None = None,
    compression: str | None = None,
) -> Connection:
    """Return the connection that arguments and settings describe; None leaves it to the settings.

    Raises:
        SettingsError: A setting or an argument is wrong, or a file cannot be read.
    """
    _check_seconds("timeout_seconds", timeout_seconds)
    _check_seconds("attempt_timeout_seconds", attempt_timeout_seconds)
    settings = load_settings(profile)
    target = settings.target if target is None else target
    tls = _tls_from(settings) if tls is None else tls
    token = settings.read_token() if token is None else token
    hosts = _addresses(target)
    _check_token(token, secure=tls is not None or settings.allow_plaintext, hosts=hosts)
    name = (tls.server_name or _shared_name(target, hosts)) if tls else None
    return Connection(
        _grpc_target(target, hosts),
        _credentials(tls) if tls else None,
        (*_OPTIONS, *_server_name_options(name)),
        _BALANCING if len(hosts) > 1 or target.startswith("dns:") else (),
        _metadata(token, settings.compression if compression is None else compression),
        settings.timeout_seconds if timeout_seconds is None else timeout_seconds,
        (
            settings.attempt_timeout_seconds
            if attempt_timeout_seconds is None
            else attempt_timeout_seconds
        ),
        resume if settings.resume else None,
    )


def _metadata(token: str | None, compression: str) -> Metadata:
    if compression not in _COMPRESSIONS:
        raise SettingsError(f"compression: takes {' or '.join(_COMPRESSIONS)}")
    pairs = {
        "authorization": f"Bearer {token}" if token else "",
        "x-userstream-compression": compression if compression != _COMPRESSIONS[0] else "",
    }
    return tuple((key, value) for key, value in pairs.items() if value)


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds < math.inf:
        raise SettingsError(f"{name}: takes more than 0 seconds (got {seconds})")


def _tls_from(settings: ClientSettings) -> TlsOptions | None:
    if not settings.wants_tls:
        return None
    return TlsOptions(
        settings.tls_ca,
        settings.tls_client_cert,
        settings.tls_client_key,
        settings.tls_server_name,
    )


def _credentials(tls: TlsOptions) -> grpc.ChannelCredentials:
    if (tls.client_cert is None) != (tls.client_key is None):
        # gRPC would leave the certificate out in silence.
        raise SettingsError("TlsOptions: client_cert and client_key go together")
    return grpc.ssl_channel_credentials(
        _read("USERSTREAM_TLS_CA", tls.ca),
        _read("USERSTREAM_TLS_CLIENT_KEY", tls.client_key),
        _read("USERSTREAM_TLS_CLIENT_CERT", tls.client_cert),
    )


def _read(name: str, path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {path} ({error.strerror})") from None


def _check_token(token: str | None, *, secure: bool, hosts: Sequence[str]) -> None:
    if not token:
        return
    if not all("!" <= c <= "~" for c in token):
        raise SettingsError("USERSTREAM_TOKEN: takes visible ASCII characters, without spaces")
    if not secure and not all(_is_loopback(host) for host in hosts):
        raise SettingsError(
            "USERSTREAM_TOKEN: would travel in the clear; set USERSTREAM_TLS_CA (or"
            " USERSTREAM_TLS=true), or USERSTREAM_ALLOW_PLAINTEXT=true"
        )


def _addresses(target: str) -> list[str]:
    """Return the addresses that a target lists, without its scheme; most targets have one."""
    scheme, colon, rest = target.partition(":")
    if colon and scheme in {"ipv4", "ipv6", "dns"}:
        return [part.strip() for part in rest.rpartition("/")[2].split(",") if part.strip()]
    return [part.strip() for part in target.split(",") if part.strip()]


def _is_loopback(host: str) -> bool:
    if host.startswith(("unix:", "/")):
        return True
    name = _host_and_port(host)[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in _LOOPBACK_NAMES


def _host_and_port(host: str) -> tuple[str, str]:
    name, _, port = host.rpartition(":")
    return name.strip("[]"), port


def _shared_name(target: str, hosts: Sequence[str]) -> str | None:
    """Return the name to expect in the certificates of a list; gRPC alone would expect the whole list."""
    return _host_and_port(hosts[0])[0] if len(hosts) > 1 and "," in target else None


def _grpc_target(target: str, hosts: Sequence[str]) -> str:
    """Return the target in gRPC's form; its lists take numeric addresses only."""
    if len(hosts) < 2 or target.startswith(("ipv4:", "ipv6:", "dns:")):
        return target
    found = []
    for host in hosts:
        name, port = _host_and_port(host)
        try:
            info = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)[0]
        except (OSError, ValueError):
            raise SettingsError(
                f"USERSTREAM_TARGET: {host!r} cannot be resolved; takes host:port, commas between"
            ) from None
        found.append((info[0], info[4][0], port))
    if len({family for family, _, _ in found}) > 1:
        raise SettingsError("USERSTREAM_TARGET: takes IPv4 or IPv6 addresses, not both in a list")
    if found[0][0] is socket.AF_INET6:
        return "ipv6:" + ",".join(f"[{address}]:{port}" for _, address, port in found)
    return "ipv4:" + ",".join(f"{address}:{port}" for _, address, port in found)


def _server_name_options(name: str | None) -> tuple[Option, ...]:
    if name is None:
        return ()
    return (("grpc.ssl_target_name_override", name), ("grpc.default_authority", name))
