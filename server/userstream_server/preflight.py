"""`userstream-server --check`: one line for each thing that an operator may have to fix."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from userstream_server.auth.bearer_tokens import SHORT_TOKEN_CHARS, AuthTokens
from userstream_server.auth.field_rules import FieldRules
from userstream_server.auth.tls import expiry_of
from userstream_server.databases.database import Database, DatabaseFound
from userstream_server.databases.open import open_database
from userstream_server.errors import UserStreamError
from userstream_server.file_limits import shortage
from userstream_server.setting_names import unknown_settings
from userstream_server.settings import ServerSettings

__all__ = ["Finding", "find_all"]

_ENV_FILE = Path(".env")
_TABLE_REASONS = frozenset({"TABLE_MISSING", "TABLE_SHAPE"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        subject: What was looked at.
        state: `ok`, `warn` or `FAIL`.
        text: What was found, or what to do.
    """

    subject: str
    state: str
    text: str

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.subject:<9} {self.state:<5} {self.text}"


def find_all(settings: ServerSettings) -> Iterator[Finding]:
    """Check everything. Invalid settings end the program before this is called."""
    yield Finding("settings", "ok", f"listening on {settings.listen}")
    yield from (Finding("settings", "warn", text) for text in unknown_settings(_ENV_FILE))
    yield from _secret_files(settings)
    yield _files(settings)
    yield _tls(settings)
    yield _tokens(settings)
    yield _fields(settings)
    database = open_database(settings.database_options)
    try:
        yield from _database(settings, database)
    finally:
        database.close()


def _secret_files(settings: ServerSettings) -> Iterator[Finding]:
    for name in ("database_url_file", "tls_key", "auth_tokens_file"):
        path = getattr(settings, name)
        # A warning only: secrets that an orchestrator mounts are readable by all, inside their own container.
        if path is not None and path.exists() and path.stat().st_mode & stat.S_IROTH:
            text = f"USERSTREAM_{name.upper()}: every user of this system can read the file"
            yield Finding("secrets", "warn", text)

    if _ENV_FILE.exists() and _ENV_FILE.stat().st_mode & stat.S_IROTH:
        text = f"{_ENV_FILE}: every user of this system can read the file; chmod 600 {_ENV_FILE}"
        yield Finding("secrets", "warn", text)


def _files(settings: ServerSettings) -> Finding:
    if warning := shortage(settings):
        return Finding("files", "warn", warning)
    return Finding("files", "ok", f"enough for {settings.connections_max} connections")


def _tls(settings: ServerSettings) -> Finding:
    if settings.tls_cert is None or settings.tls_key is None:
        return Finding("tls", "ok", "off: plaintext")
    try:
        until = expiry_of(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except ValueError as error:
        return Finding("tls", "FAIL", str(error))
    clients = "clients show a certificate" if settings.tls_client_ca else "clients show none"
    return Finding("tls", "ok", f"valid until {until}; {clients}")


def _tokens(settings: ServerSettings) -> Finding:
    if settings.auth_tokens_file is None:
        return Finding("tokens", "ok", "off: every caller may call")
    try:
        tokens = AuthTokens(settings.auth_tokens_file)
    except (OSError, ValueError) as error:
        return Finding("tokens", "FAIL", str(error))
    if tokens.shortest_chars < SHORT_TOKEN_CHARS:
        text = f"{len(tokens)} in the file, one with {tokens.shortest_chars} characters: it may be guessed"
        return Finding("tokens", "warn", f"{text}; use random ones of {SHORT_TOKEN_CHARS} or more")
    return Finding("tokens", "ok", f"{len(tokens)} in the file")


def _fields(settings: ServerSettings) -> Finding:
    rules = FieldRules.parse(settings.fields_allowed)
    if not rules.entries:
        return Finding("fields", "ok", "every caller may read all")
    missing = rules.token_names - _token_names(settings)
    if missing:
        text = f"no token has the name {', '.join(sorted(missing))}: write `name=NAME TOKEN` in the file of tokens"
        return Finding("fields", "warn", text)
    return Finding("fields", "ok", f"{len(rules.entries)} entries; other callers read user_id only")


def _token_names(settings: ServerSettings) -> frozenset[str]:
    try:
        path = settings.auth_tokens_file
        return AuthTokens(path).names if path else frozenset()
    except (OSError, ValueError):
        return frozenset()  # `_tokens` says so


def _described(found: DatabaseFound) -> str:
    table = found.table
    what = f"the view {table.name}" if table.is_view else table.name
    order = "the type UUID" if table.key_type == "uuid" else table.collation
    in_bytes = "byte by byte" if table.is_bytewise else "not byte by byte"
    return f"{what} fits; user_id ascends by {order}, {in_bytes}"


def _hosts(database: Database, *, left_out: str) -> Iterator[Finding]:
    for host in database.hosts():
        state = "ok" if host.readable or host.is_unwanted else left_out
        if host.hint:
            state = "warn"
        text = f"{host.name}: {host.text}"
        yield Finding("host", state, f"{text}; {host.hint}" if host.hint else text)


def _database(settings: ServerSettings, database: Database) -> Iterator[Finding]:
    masked = settings.database.masked
    try:
        found = database.check()
    except UserStreamError as error:
        if error.reason not in _TABLE_REASONS:
            yield Finding("database", "FAIL", f"{masked}: {error.message}")
            yield from _hosts(database, left_out="FAIL")
            return
        yield Finding("database", "ok", f"{masked} answers")
        yield Finding("table", "FAIL", error.message)
        return
    yield Finding("database", "ok", f"{masked}: {found.server}, {found.transport}")
    yield from _hosts(database, left_out="warn")
    yield Finding("table", "ok", _described(found))
    yield Finding("driver", "ok" if found.fast_driver else "warn", found.driver)
