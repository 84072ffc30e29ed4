"""Profiles: named sets of settings in the user's config file, so that a server can be chosen by name.

[profile.prod]
target = "users.example:443"
tls = true
token_file = "prod.token"
"""

import os
import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from userstream_client.errors import SettingsError

__all__ = ["config_path", "profile_names", "profile_values"]

_PATHS = ("tls_ca", "tls_client_cert", "tls_client_key", "token_file")


def config_path() -> Path:
    """Return where the profiles are: `userstream/config.toml` in XDG_CONFIG_HOME, which is ~/.config by default."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (folder if folder.is_absolute() else Path.home() / ".config") / "userstream/config.toml"


def profile_names() -> list[str]:
    """Return the names of all profiles.

    Raises:
        SettingsError: The file cannot be read.
    """
    return sorted(_profiles())


def profile_values(name: str, known: Collection[str]) -> dict[str, Any]:
    """Return the settings of a profile. Relative paths in it start at the config file's folder.

    Args:
        name: The profile.
        known: The names of all settings.

    Raises:
        SettingsError: The profile is missing, or it has a setting that does not exist.
    """
    profiles = _profiles()
    if name not in profiles:
        there = f"it has {', '.join(sorted(profiles))}" if profiles else "it has none"
        raise SettingsError(f"profile {name}: not in {config_path()}; {there}")
    values = profiles[name]
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, 1)
            advice = f"did you mean {near[0]}?" if near else f"takes {', '.join(sorted(known))}"
            raise SettingsError(f"profile {name}: {key} is not a setting; {advice}")
    return {key: _absolute(value) if key in _PATHS else value for key, value in values.items()}


def _absolute(value: object) -> object:
    return config_path().parent / Path(value).expanduser() if isinstance(value, str) else value


def _profiles() -> dict[str, dict[str, Any]]:
    path = config_path()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"profiles: {path} is missing; create it with a table [profile.NAME]"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"profiles: cannot read {path}; takes a readable TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"profiles: {path} is not TOML: {error}") from None
    found = content.get("profile", {})
    if not isinstance(found, dict) or not all(isinstance(p, dict) for p in found.values()):
        raise SettingsError(f"profiles: {path}: takes tables named [profile.NAME]")
    return found
