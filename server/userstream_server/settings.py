"""The server's settings: frozen, typed, and the only place that reads the environment and `.env`.

Every name has its unit in it. A bad value is one line that names the variable, and never shows what
it held.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from userstream_server.auth.certificate_names import ClientNames
from userstream_server.databases.open import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl

__all__ = ["ServerSettings", "SettingsError", "load_settings"]

PREFIX = "USERSTREAM_"

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1)]


class SettingsError(Exception):
    """One or more settings are wrong; `str()` has a line for each, without values."""


class ServerSettings(BaseSettings):
    """What `userstream-server` can be told; each field is `USERSTREAM_` and its name in upper case."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    database_url: SecretStr = SecretStr("sqlite:///userstream.db")
    """Where user_data is: `sqlite:///FILE` or `mysql://user:password@host[:port][,host2…]/database`."""
    database_url_file: Path | None = None
    """File that holds database_url instead, so that the password stands in no environment."""
    listen: str = "127.0.0.1:50051"
    """Address and port of the service; port 0 takes a free one and prints it."""
    health_listen: str = ""
    """Address and port of a second server with grpc.health.v1 alone, which answers however busy the first is."""
    reflection: bool = True
    """Serve reflection, so that grpcurl and buf curl know the API."""

    tls_cert: Path | None = None
    """PEM file with the server's certificate chain; with tls_key it turns TLS on."""
    tls_key: Path | None = None
    """PEM file with the private key."""
    tls_client_ca: Path | None = None
    """PEM file with the authorities of client certificates; set, every client must show one (mutual TLS)."""
    tls_client_names: str = ""
    """Names of client certificates that may call: NAME, *.NAME or SERVICE=NAME, with commas; empty: all."""
    allow_plaintext: bool = False
    """Serve without TLS on other addresses than loopback."""
    auth_tokens_file: Path | None = None
    """File of bearer tokens, one a line; set, every call must carry one of them."""

    pool_size: Count = 8
    """The most database connections for queries."""
    pool_wait_seconds: Seconds = 5.0
    """How long a query waits for a free connection before RESOURCE_EXHAUSTED."""
    snapshot_views_max: Count = 4
    """The most SNAPSHOT streams at once; each holds a connection, so it must stay below pool_size."""
    connect_timeout_seconds: Seconds = 5.0
    """How long to wait for one database host."""
    query_timeout_seconds: Seconds = 300.0
    """The longest a query may take; a caller's nearer deadline goes first."""
    net_write_timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """How long MySQL keeps a result that nobody reads (its session's net_write_timeout)."""

    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """How many server processes share the port; `--workers` goes before it."""
    streams_max: Count = 1000
    """The most calls at once; each has a thread."""
    streams_per_caller_max: Count = 500
    """The most calls of one caller at once: of a certificate's name, of a token, else of an address."""
    streams_per_connection_max: Annotated[int, Field(ge=1, le=100_000)] = 32
    """The most calls of one connection at once; its client holds more back by itself, and a flood costs little."""
    calls_waiting_max: Annotated[int, Field(ge=0, le=10_000)] = 100
    """The most calls that wait for one of streams_max to end; more are refused at once."""
    call_wait_seconds: Seconds = 1.0
    """How long such a call waits before RESOURCE_EXHAUSTED."""
    request_bytes_max: Annotated[int, Field(ge=1024, le=4_194_304)] = 65_536
    """The largest request."""
    request_timeout_seconds: Seconds = 10.0
    """A call whose request has not come by then is cancelled."""
    metadata_bytes_max: Annotated[int, Field(ge=1024, le=1_048_576)] = 8192
    """The most metadata of a call, counted as HTTP/2 does: names, values, and 32 bytes for each pair."""
    batch_users_max: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    """The most users in a batch, a page or a message; a page is cut to it, the others are refused."""
    max_connection_age_seconds: Seconds = 3600.0
    """How long a connection takes new calls, give or take a tenth; its client then makes another."""
    max_connection_age_grace_seconds: Seconds = 600.0
    """How long its running calls may go on after that; a stream then ends UNAVAILABLE and can be resumed."""
    handshake_timeout_seconds: Seconds = 10.0
    """A connection that has not said by then that it speaks TLS and HTTP/2 is closed."""
    ping_interval_seconds: Seconds = 5.0
    """A client whose keepalive pings come more often loses its connection (too_many_pings)."""
    keepalive_seconds: Seconds = 60.0
    """A connection on which nothing comes for this long is asked whether it lives, with 20 s to answer."""
    send_timeout_seconds: Seconds = 60.0
    """A call whose consumer takes no message for this long is cancelled."""
    chunk_rows_max: Annotated[int, Field(ge=250, le=1_000_000)] = 32_000
    """The most rows read at once for a stream; it holds two such chunks at most (about 150 bytes a row)."""
    message_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = 131_072
    """About how large a packed message grows."""
    native_rows: bool = True
    """Fetch and encode users in C where that part was built; off, in Python: the same bytes, half as fast."""
    health_poll_seconds: Seconds = 2.0
    """How often the database is asked whether it answers."""
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long running calls may go on after SIGTERM."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is worth a line."""
    log_format: Literal["json", "console"] = "json"
    """JSON for machines, or text for people."""
    metrics_listen: str = ""
    """Address and port of the Prometheus endpoint; worker N listens on the port plus N. Empty: no metrics."""
    otlp_endpoint: str = ""
    """Where spans go, by OTLP over gRPC: `http://host:4317`, or `https://` for TLS. Empty: no traces."""

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        if not (path := given.get("database_url_file")):
            return given
        if given.get("database_url"):
            raise ValueError(
                "USERSTREAM_DATABASE_URL and USERSTREAM_DATABASE_URL_FILE: set only one"
            )
        return given | {"database_url": _read_secret("DATABASE_URL_FILE", Path(path))}

    @field_validator("tls_client_names")
    @classmethod
    def _check_client_names(cls, value: str) -> str:
        ClientNames.parse(value)
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr) -> SecretStr:
        DatabaseUrl.parse(value.get_secret_value())
        return value

    @field_validator("listen", "health_listen", "metrics_listen")
    @classmethod
    def _check_address(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if value and not (colon and host and port.isdigit() and int(port) < 65_536):
            raise ValueError("takes host:port, such as 127.0.0.1:50051 or [::]:50051")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _check_endpoint(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/@\s]+:\d{1,5}", value):
            raise ValueError("takes http://host:port or https://host:port, and nothing after it")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> "ServerSettings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("USERSTREAM_TLS_CERT and USERSTREAM_TLS_KEY go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("USERSTREAM_TLS_CLIENT_CA needs USERSTREAM_TLS_CERT and _KEY")
        if self.tls_client_names and self.tls_client_ca is None:
            raise ValueError("USERSTREAM_TLS_CLIENT_NAMES needs USERSTREAM_TLS_CLIENT_CA")
        if self.snapshot_views_max >= self.pool_size:
            raise ValueError("USERSTREAM_SNAPSHOT_VIEWS_MAX must stay below USERSTREAM_POOL_SIZE")
        if self.tls_cert is None and not self.allow_plaintext and not _is_loopback(self.listen):
            raise ValueError(
                "USERSTREAM_LISTEN is not a loopback address and there is no TLS: set"
                " USERSTREAM_TLS_CERT and _KEY, or say USERSTREAM_ALLOW_PLAINTEXT=true"
            )
        if _port(self.metrics_listen) + self.workers > 65_536:
            raise ValueError("USERSTREAM_METRICS_LISTEN leaves no port for every worker")
        return self

    @property
    def database(self) -> DatabaseUrl:
        """The database's address, taken apart."""
        return DatabaseUrl.parse(self.database_url.get_secret_value())

    @property
    def database_options(self) -> DatabaseOptions:
        """What opening the database needs."""
        return DatabaseOptions(
            self.database,
            pool_size=self.pool_size,
            pool_wait_seconds=self.pool_wait_seconds,
            snapshot_views=self.snapshot_views_max,
            connect_timeout_seconds=self.connect_timeout_seconds,
            query_timeout_seconds=self.query_timeout_seconds,
            net_write_timeout_seconds=self.net_write_timeout_seconds,
            native_rows=self.native_rows,
        )

    def shown(self) -> dict[str, object]:
        """Return the effective settings for people to read; the database's password is masked."""
        return self.model_dump(mode="json") | {"database_url": self.database.masked}


def load_settings(**overrides: object) -> ServerSettings:
    """Read the settings from the environment and `.env`.

    Args:
        overrides: Settings that go before both, as the command line gives them.

    Raises:
        SettingsError: One is wrong.
    """
    try:
        return ServerSettings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        # Pydantic's own text would show what was put in, and so the end of a password.
        lines = [
            _line(".".join(map(str, e["loc"])), e["msg"])
            for e in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise SettingsError("\n".join(lines)) from None


def _read_secret(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{PREFIX}{name}: the file it names cannot be read") from None
    if not text:
        raise ValueError(f"{PREFIX}{name}: the file it names is empty")
    return text


def _line(field: str, message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{PREFIX}{field.upper()}: {text}" if field else text


def _port(address: str) -> int:
    return int(address.rpartition(":")[2] or 0)


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # another name may mean any address, also 127.example
