"""Bad input that the command line finds itself, and what to advise when a call fails."""

from userstream_client.errors import (
    DeadlineExceededError,
    InternalError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UserStreamError,
)

__all__ = ["DamagedFile", "ExportProblem", "UsageProblem", "advice"]


class ExportProblem(Exception):  # noqa: N818 - a state of the user's files, not a defect
    """An export that cannot start, continue or be published safely; exit code 1."""


class DamagedFile(Exception):  # noqa: N818 - a state of the user's files, not a defect
    """A file that does not hold what an export writes; `str()` says where and how, beginning in lower case."""


class UsageProblem(Exception):  # noqa: N818 - it is the user's, not ours
    """Options that do not go together, or a file that cannot be used; exit code 2."""


# For statuses that came without the service's own words, which already say what to do.
_ADVICE: dict[type[UserStreamError], str] = {
    UnavailableError: "check --target or USERSTREAM_TARGET, and that the server runs",
    UnsupportedError: "check --target or USERSTREAM_TARGET",
    UnauthenticatedError: "set USERSTREAM_TOKEN or USERSTREAM_TOKEN_FILE",
    PermissionDeniedError: "set USERSTREAM_TOKEN or USERSTREAM_TLS_CLIENT_CERT",
    DeadlineExceededError: "allow more with --timeout, or narrow the filter",
    InternalError: "the server's log has more",
}


def advice(error: UserStreamError) -> str:
    """Return what to do about an error, ready to be put behind its message; empty for nothing."""
    if error.reason and not isinstance(error, DeadlineExceededError):
        return ""
    text = _ADVICE.get(type(error))
    return f"; {text}" if text else ""
