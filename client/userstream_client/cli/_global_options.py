"""The options before the command, which say what server to call."""

from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from userstream_client._profiles import profile_names
from userstream_client.errors import SettingsError

__all__ = ["Profile", "Server", "Target", "TokenFile", "choose_server", "chosen_server"]


@dataclass(frozen=True, slots=True)
class Server:
    """What the command line says about the server; None leaves it to the settings."""

    target: str | None = None
    profile: str | None = None
    token_file: Path | None = None

    @property
    def token(self) -> str | None:
        """The token of `token_file`.

        Raises:
            SettingsError: The file cannot be read or is empty.
        """
        # Late, because pydantic-settings takes longer to import than gRPC.
        from userstream_client._settings import read_token_file  # noqa: PLC0415

        return read_token_file(self.token_file, "--token-file") if self.token_file else None


# Set by the options before the command and by the command's own, so that no command need pass it on.
_chosen: ContextVar[Server] = ContextVar("server", default=Server())  # noqa: B039 - it is frozen


def choose_server(server: Server) -> None:
    """Keep what the command line says about the server."""
    _chosen.set(server)


def chosen_server(target: str | None = None) -> Server:
    """Return the server that this command calls.

    Args:
        target: The command's own `--target`, which goes before the global one from now on.
    """
    if target is not None:
        choose_server(replace(_chosen.get(), target=target))
    return _chosen.get()


def _known_profiles(incomplete: str) -> list[str]:
    try:
        return [name for name in profile_names() if name.startswith(incomplete)]
    except SettingsError:
        return []


Target = Annotated[
    str | None,
    typer.Option(help="The server as host:port. Default: USERSTREAM_TARGET, else 127.0.0.1:50051."),
]
Profile = Annotated[
    str | None,
    typer.Option(
        autocompletion=_known_profiles,
        metavar="NAME",
        help="Settings from the table profile.NAME of ~/.config/userstream/config.toml;"
        " they go before those of the environment.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="File with the bearer token. Default: USERSTREAM_TOKEN_FILE."
    ),
]
