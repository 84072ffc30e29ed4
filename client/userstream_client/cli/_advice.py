"""One line for a failed call: what happened, then the next step."""

import re

from userstream_client.cli._global_options import Server, chosen_server
from userstream_client.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidRequestError,
    PermissionDeniedError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UserStreamError,
)

__all__ = ["said"]

# For statuses that came without the service's own words, which already say what to do.
_ADVICE: dict[type[UserStreamError], str] = {
    UnavailableError: "check --target or USERSTREAM_TARGET, and that the server runs",
    UnsupportedError: "check --target or USERSTREAM_TARGET",
    UnauthenticatedError: "set USERSTREAM_TOKEN, or use --token-file",
    PermissionDeniedError: "set USERSTREAM_TOKEN or USERSTREAM_TLS_CLIENT_CERT",
    DeadlineExceededError: "allow more with --timeout, or narrow the filter",
    InternalError: "the server's log has more",
}
# What gRPC writes when a connection fails, and what it means to whoever typed the command.
_CONNECTION_FAILURES = {
    "Connection refused": (
        "nothing listens there",
        "start userstream-server, or check --target or USERSTREAM_TARGET",
    ),
    "Domain name not found|DNS resolution failed": (
        "there is no such host",
        "check --target or USERSTREAM_TARGET, which take host:port",
    ),
    "CERTIFICATE_VERIFY_FAILED": (
        "its certificate is not trusted",
        "set USERSTREAM_TLS_CA to the PEM file of its authority, or check --target",
    ),
    "WRONG_VERSION_NUMBER": (
        "it does not speak TLS",
        "unset USERSTREAM_TLS and the other USERSTREAM_TLS_ settings, or check --target",
    ),
    "last error: .*Socket closed": (  # not that of a stream that breaks
        "it closed the connection",
        "set USERSTREAM_TLS=true if it requires TLS, or check --target",
    ),
    "Failed parsing HTTP/2|connect an http1.x server": (
        "what listens there is not a gRPC server",
        "check the port in --target or USERSTREAM_TARGET",
    ),
}
_OPTIONS = {
    "age_over",
    "age_up_to",
    "batch_size",
    "consistency",
    "email_domain",
    "limit",
    "name_prefix",
    "offset",
    "page_limit",
    "page_size",
    "page_token",
    "partition",
    "resume_token",
}
_OTHER_OPTIONS = {"partition_count": "--count"}


def said(error: UserStreamError) -> str:
    """Return one line about a failed call: what happened, then what to do. It has no full stop at its end."""
    if isinstance(error, InvalidRequestError):
        return _refused_request(error)
    if error.reason == "TOKEN_REFUSED":
        return _refused_token(chosen_server())
    if isinstance(error, UnavailableError) and not error.reason:
        return _failed_connection(error.message)
    message = error.message.rstrip(".")
    # The service's own words already say what to do; only who may wait longer knows about --timeout.
    if error.reason and not isinstance(error, DeadlineExceededError):
        return message
    advice = _ADVICE.get(type(error))
    return f"{message}; {advice}" if advice else message


def _refused_request(error: InvalidRequestError) -> str:
    """Name each wrong field as the command line spells it."""
    if not error.field_violations:
        return error.message.rstrip(".")
    return "; ".join(
        f"{_option(violation.field)}: {violation.description}"
        for violation in error.field_violations
    )


def _option(field: str) -> str:
    name = field.rpartition(".")[2]
    if name in _OPTIONS:
        return f"--{name.replace('_', '-')}"
    return _OTHER_OPTIONS.get(name, field)


def _refused_token(server: Server) -> str:
    source = _token_source(server)
    if source is None:
        return "the server requires a token, and none was sent; set USERSTREAM_TOKEN, or use --token-file FILE"
    return f"the server refuses the token of {source}; ask its operator for one of its tokens"


def _token_source(server: Server) -> str | None:
    """Say where the token came from; None if none was sent."""
    if server.token_file is not None:
        return f"--token-file {server.token_file}"
    # Late, because pydantic-settings takes longer to import than gRPC; a client has read the same settings before.
    from userstream_client._settings import load_settings  # noqa: PLC0415

    settings = load_settings(server.profile)
    if settings.token_file is not None:
        return f"{settings.token_file} (token file)"
    if settings.token is None:
        return None
    own = server.profile is not None and load_settings().token != settings.token
    return f"profile {server.profile}" if own else "USERSTREAM_TOKEN"


def _failed_connection(message: str) -> str:
    for pattern, (cause, advice) in _CONNECTION_FAILURES.items():
        if re.search(pattern, message):
            return f"the server cannot be reached at {_target()}: {cause}; {advice}"
    return f"{message.rstrip('.')}; {_ADVICE[UnavailableError]}"


def _target() -> str:
    server = chosen_server()
    if server.target is not None:
        return server.target
    from userstream_client._settings import load_settings  # noqa: PLC0415

    try:
        return load_settings(server.profile).target
    except SettingsError:
        return "its address"
