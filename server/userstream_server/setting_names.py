"""Names of settings that nobody reads: a misspelt one would otherwise change nothing and say nothing."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from userstream_server.settings import PREFIX, ServerSettings

__all__ = ["CLIENT_NAMES", "unknown_settings"]

# The client may read the same environment and the same .env.
CLIENT_NAMES = frozenset({
    "allow_plaintext", "attempt_timeout_seconds", "compression", "resume", "target", "timeout_seconds", "tls", "tls_ca",
    "tls_client_cert", "tls_client_key", "tls_server_name", "token", "token_file",
})  # fmt: skip
"""The settings of `userstream`, the client."""
_SCRIPTS_NAMES = frozenset({"python", "venv"})
_TEST_PREFIX = "test_"


def unknown_settings(env_file: Path) -> Iterator[str]:
    """Yield a line for each `USERSTREAM_…` name, in the environment or a file, that is no setting.

    Args:
        env_file: The `.env`; it need not exist.
    """
    known = ServerSettings.model_fields.keys() | CLIENT_NAMES | _SCRIPTS_NAMES
    for where, names in (("the environment", os.environ), (str(env_file), dotenv_values(env_file))):
        for name in sorted(names):
            field = name.lower().removeprefix(PREFIX.lower())
            if not name.upper().startswith(PREFIX) or field in known:
                continue
            if not field.startswith(_TEST_PREFIX):
                yield f"{name} in {where} is no setting{_meant(field, known)}"


def _meant(field: str, known: frozenset[str] | set[str]) -> str:
    close = get_close_matches(field, known, n=1)
    return f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
