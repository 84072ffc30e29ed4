"""The server's settings: frozen, typed, and the only place that reads the environment and `.env`.

Every name ends in its unit. A bad value gives one line that names the variable and never shows the value.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from userstream_server.auth.certificate_names import ClientNames
from userstream_server.auth.field_rules import FieldRules
from userstream_server.databases.host_state import ReadFrom
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl

__all__ = ["ServerSettings", "SettingsError", "load_settings"]

PREFIX = "USERSTREAM_"

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class SettingsError(Exception):
    """One or more settings are invalid; `str()` has one line for each, without values."""


class ServerSettings(BaseSettings):
    """All settings of `userstream-server`; the variable of a field is `USERSTREAM_` and its name in upper case."""

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
    """File that holds database_url, to keep the password out of the environment."""
    listen: str = "127.0.0.1:50051"
    """Address and port of the service; port 0 picks a free one and prints it."""
    health_listen: str = ""
    """Address and port of a second server for grpc.health.v1 only, which answers even when the first is busy."""
    reflection: bool = True
    """Serve reflection, so that grpcurl and buf curl work without stubs."""

    tls_cert: Path | None = None
    """PEM file with the server's certificate chain; with tls_key it turns TLS on."""
    tls_key: Path | None = None
    """PEM file with the private key."""
    tls_client_ca: Path | None = None
    """PEM file with the authorities of client certificates; if set, every client must present one (mutual TLS)."""
    tls_client_names: str = ""
    """Names of client certificates that may call: NAME, *.NAME or SERVICE=NAME, comma-separated; empty: all."""
    allow_plaintext: bool = False
    """Allow plaintext on addresses other than loopback."""
    auth_tokens_file: Path | None = None
    """File of bearer tokens, one per line, as `TOKEN` or `name=NAME TOKEN`; if set, every call must carry one."""
    fields_allowed: str = ""
    """Fields that a caller may read: CALLER=FIELD+FIELD, comma-separated; the first that fits counts; empty: all."""

    pool_size: Count = 8
    """Maximum number of database connections for queries; of several hosts, to each."""
    pool_wait_seconds: Seconds = 5.0
    """How long a query waits for a free connection before RESOURCE_EXHAUSTED."""
    pool_caller_share: Share = 0.5
    """The share of the pool, 0 to 1, that a caller may hold while others wait; idle connections are anyone's."""
    pool_scans_share: Share = 0.25
    """The share of the pool, 0 to 1, that full scans may hold together; filtered queries may hold twice as much."""
    snapshot_views_max: Count = 4
    """Maximum number of SNAPSHOT streams at once; each holds a connection, so it must be below pool_size."""
    connect_timeout_seconds: Seconds = 5.0
    """Time limit for connecting to one database host."""
    host_timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 2
    """How long one of several database hosts may take to answer a check, or to connect, before others take over."""
    replica_lag_seconds_max: Seconds = 30.0
    """How far one of several database hosts may be behind its source and still be read."""
    read_from: ReadFrom = ReadFrom.ANY
    """Which of several database hosts are read: `any`, `replicas` or `primary`."""
    query_timeout_seconds: Seconds = 300.0
    """Time limit of a query; a caller's earlier deadline takes precedence."""
    net_write_timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """How long MySQL keeps a result that nobody reads (its session's net_write_timeout)."""

    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Number of server processes that share the port; `--workers` overrides it."""
    streams_max: Count = 1000
    """Maximum number of calls at once; each has a thread."""
    streams_per_caller_max: Count = 500
    """Maximum number of calls of one caller at once; a caller is a certificate's name, a token, or else an address."""
    streams_per_connection_max: Annotated[int, Field(ge=1, le=100_000)] = 32
    """Maximum number of calls of one connection at once; clients queue further calls themselves."""
    connections_max: Count = 2000
    """Maximum number of connections to the service; fewer where the limit of open files is too low for so many."""
    calls_waiting_max: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Maximum number of calls that wait for one of streams_max to end; further calls are refused at once."""
    call_wait_seconds: Seconds = 1.0
    """How long such a call waits before RESOURCE_EXHAUSTED."""
    request_bytes_max: Annotated[int, Field(ge=1024, le=4_194_304)] = 65_536
    """The largest request."""
    request_timeout_seconds: Seconds = 10.0
    """A call whose request has not arrived by then is cancelled."""
    metadata_bytes_max: Annotated[int, Field(ge=1024, le=1_048_576)] = 8192
    """Maximum metadata of a call, counted as in HTTP/2: names, values, and 32 bytes for each pair."""
    batch_users_max: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    """Maximum number of users in a batch, page or message; a larger page is cut, the others are refused."""
    max_connection_age_seconds: Seconds = 3600.0
    """How long a connection accepts new calls, plus or minus a tenth; the client then opens another."""
    max_connection_age_grace_seconds: Seconds = 600.0
    """How long its running calls may continue after that; streams then end UNAVAILABLE and can be resumed."""
    max_connection_idle_seconds: Seconds = 600.0
    """A connection without a call for this long is closed; its client connects again at its next call."""
    handshake_timeout_seconds: Seconds = 10.0
    """A connection that has not completed its TLS and HTTP/2 handshake by then is closed."""
    ping_interval_seconds: Seconds = 5.0
    """Has no effect any more; accepted so that old configurations start. Clients may ping as often as they like."""
    keepalive_seconds: Seconds = 60.0
    """A connection that is silent for this long gets a ping and 20 s to answer."""
    send_timeout_seconds: Seconds = 60.0
    """A call whose consumer reads no message for this long is cancelled."""
    chunk_rows_max: Annotated[int, Field(ge=250, le=1_000_000)] = 32_000
    """Maximum number of rows in a chunk; a stream holds at most two chunks (about 150 bytes a row)."""
    message_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = 131_072
    """Approximate maximum size of a message of StreamUsers."""
    compression_allowed: bool = True
    """Compress the responses of calls that ask for it; this costs many times the CPU time of the call."""
    native_rows: bool = True
    """Fetch and encode users in C if that part was built. Off: in Python, the same bytes at half the speed."""
    health_poll_seconds: Seconds = 2.0
    """Interval between checks that the database answers."""
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long running calls may continue after SIGTERM and the notice."""
    drain_notice_seconds: Annotated[float, Field(ge=0, le=600)] = 0.25
    """How long new calls are still accepted after SIGTERM. Health says NOT_SERVING, so balancers turn away."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level to log."""
    log_format: Literal["json", "console"] = "json"
    """JSON for machines, or text for people."""
    metrics_listen: str = ""
    """Address and port of the Prometheus endpoint; worker N listens on this port plus N. Empty: no metrics."""
    otlp_endpoint: str = ""
    """Collector of spans, by OTLP over gRPC: `http://host:4317`, or `https://` for TLS. Empty: no traces."""

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

    @field_validator("fields_allowed")
    @classmethod
    def _check_fields_allowed(cls, value: str) -> str:
        FieldRules.parse(value)
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

    @model_validator(mode="after")
    def _check_callers_of_fields(self) -> "ServerSettings":
        rules = FieldRules.parse(self.fields_allowed)
        known = {"AUTH_TOKENS_FILE": self.auth_tokens_file, "TLS_CLIENT_CA": self.tls_client_ca}
        for needed in rules.needs:
            if known[needed] is None:
                raise ValueError(f"USERSTREAM_FIELDS_ALLOWED needs {PREFIX}{needed}")
        return self

    @property
    def database(self) -> DatabaseUrl:
        """The parsed database URL."""
        return DatabaseUrl.parse(self.database_url.get_secret_value())

    @property
    def database_options(self) -> DatabaseOptions:
        """The options for opening the database."""
        return DatabaseOptions(
            self.database,
            pool_size=self.pool_size,
            pool_wait_seconds=self.pool_wait_seconds,
            pool_caller_share=self.pool_caller_share,
            pool_scans_share=self.pool_scans_share,
            snapshot_views=self.snapshot_views_max,
            connect_timeout_seconds=self.connect_timeout_seconds,
            host_timeout_seconds=self.host_timeout_seconds,
            replica_lag_seconds_max=self.replica_lag_seconds_max,
            read_from=self.read_from,
            query_timeout_seconds=self.query_timeout_seconds,
            net_write_timeout_seconds=self.net_write_timeout_seconds,
            native_rows=self.native_rows,
        )

    def shown(self) -> dict[str, object]:
        """Return the effective settings for the banner, with the database's password masked."""
        return self.model_dump(mode="json") | {"database_url": self.database.masked}


def load_settings(**overrides: object) -> ServerSettings:
    """Read the settings from the environment and `.env`.

    Args:
        overrides: Settings from the command line, which override both.

    Raises:
        SettingsError: A setting is invalid.
    """
    try:
        return ServerSettings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        # Pydantic's text would show the given value, and with it part of a password.
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
