"""The client's settings, from the environment, `.env` and profiles."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from userstream_client._profiles import profile_values
from userstream_client.errors import SettingsError

__all__ = ["ClientSettings", "load_settings", "read_token_file"]

PREFIX = "USERSTREAM_"
_SECRET = {"token"}

Seconds = Annotated[float, Field(gt=0, le=604_800)]


class ClientSettings(BaseSettings):
    """The client's settings; each is read from `USERSTREAM_` and its name in upper case."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    target: Annotated[str, Field(min_length=1)] = "127.0.0.1:50051"
    """The server: host:port, several with commas between, or a gRPC target such as dns:///name:port."""
    tls: bool = False
    """Use TLS, with the system's authorities unless tls_ca is set; any other tls_ setting implies it."""
    tls_ca: Path | None = None
    """PEM file with the authorities that may vouch for the server."""
    tls_client_cert: Path | None = None
    """PEM file with this client's certificate chain, for mutual TLS."""
    tls_client_key: Path | None = None
    """PEM file with its key."""
    tls_server_name: str | None = None
    """The name in the server's certificate, where it differs from the target's."""
    token: SecretStr | None = None
    """Bearer token."""
    token_file: Path | None = None
    """File that holds the bearer token as its first word; read whenever a client is created."""
    allow_plaintext: bool = False
    """Send the token without TLS, also to addresses that are not loopback."""
    compression: Literal["none", "gzip"] = "none"
    """How the server compresses what it sends; gzip pays on slow links only."""
    timeout_seconds: Seconds | None = None
    """The limit of a whole call, resumes included; unset for none."""
    attempt_timeout_seconds: Seconds = 60.0
    """The longest wait for a stream's next message before it is ended and resumed."""
    resume: bool = True
    """Retry calls and resume streams after failures."""

    @model_validator(mode="after")
    def _check_together(self) -> "ClientSettings":
        if (self.tls_client_cert is None) != (self.tls_client_key is None):
            raise ValueError("USERSTREAM_TLS_CLIENT_CERT and USERSTREAM_TLS_CLIENT_KEY go together")
        if self.token is not None and self.token_file is not None:
            raise ValueError("USERSTREAM_TOKEN and USERSTREAM_TOKEN_FILE: set one, not both")
        return self

    @property
    def wants_tls(self) -> bool:
        """Whether any setting asks for TLS."""
        return self.tls or any(
            value is not None for value in (self.tls_ca, self.tls_client_cert, self.tls_server_name)
        )

    def read_token(self) -> str | None:
        """Return the bearer token, from its setting or its file.

        Raises:
            SettingsError: The file cannot be read or is empty.
        """
        if self.token_file is None:
            return self.token.get_secret_value() if self.token else None
        return read_token_file(self.token_file, f"{PREFIX}TOKEN_FILE")


def read_token_file(path: Path, name: str) -> str:
    """Return the first word of a file, a bearer token.

    Args:
        path: The file.
        name: The setting or option that named it, for the error.

    Raises:
        SettingsError: The file cannot be read or is empty.
    """
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{name}: cannot read {path}; takes a readable text file") from None
    if not words:
        raise SettingsError(f"{name}: {path} is empty; takes a token")
    return words[0]


def load_settings(profile: str | None = None) -> ClientSettings:
    """Read the settings.

    Args:
        profile: Its settings go before those of the environment; None for no profile.

    Raises:
        SettingsError: One is wrong.
    """
    values = _values_of(profile) if profile is not None else {}
    try:
        return ClientSettings(**values)
    except ValidationError as error:
        source = (profile or "", values)
        lines = [
            _line(e["loc"], e["msg"], e["input"], source) for e in error.errors(include_url=False)
        ]
        raise SettingsError("\n".join(lines)) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(".env: cannot be read; takes NAME=value lines in UTF-8") from None


def _values_of(profile: str) -> dict[str, Any]:
    """Return a profile's settings; its token, or its certificate with its key, replaces the environment's."""
    values = profile_values(profile, ClientSettings.model_fields)
    for pair in (("token", "token_file"), ("tls_client_cert", "tls_client_key")):
        if values.keys() & set(pair):
            values = dict.fromkeys(pair) | values
    return values


def _line(
    place: tuple[int | str, ...],
    message: str,
    value: object,
    source: tuple[str, Collection[str]],
) -> str:
    text = message.removeprefix("Value error, ")
    profile, in_profile = source
    if not place:  # a rule about several settings, whose input holds all of them, the token too
        return text
    field = str(place[0])
    # Never show the input of a setting that holds a secret.
    got = f" (got {value!r})" if field not in _SECRET and isinstance(value, str) else ""
    name = f"profile {profile}: {field}" if field in in_profile else f"{PREFIX}{field.upper()}"
    return f"{name}: {text}{got}"
