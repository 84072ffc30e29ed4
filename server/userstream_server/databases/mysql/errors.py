"""The driver's error numbers in the service's own words.

Numbers: https://dev.mysql.com/doc/mysql-errors/9.0/en/ and, from 1900 on, https://mariadb.com/kb/en/mariadb-error-codes/
"""

from collections.abc import Callable

from userstream_server.errors import (
    ConflictError,
    DeadlineError,
    InternalError,
    OverloadedError,
    PreconditionError,
    UnavailableError,
    UserStreamError,
)

__all__ = ["translate"]

_NO_NUMBER = -1
"""What the driver gives where it noticed by itself that its connection is gone."""
_GONE = "The database connection was lost. Retry; a stream resumes from its last resume_token."


def _unavailable() -> UserStreamError:
    return UnavailableError("DATABASE_UNAVAILABLE", _GONE)


def _killed() -> UserStreamError:
    return UnavailableError(
        "QUERY_KILLED",
        "The database ended the query. Retry; a stream resumes from its last resume_token.",
    )


def _overloaded() -> UserStreamError:
    return OverloadedError(
        "DATABASE_OVERLOADED", "The database takes no more connections. Try again a little later."
    )


def _deadlock() -> UserStreamError:
    return ConflictError("DEADLOCK", "The database broke a deadlock here. Try again.")


def _lock_wait() -> UserStreamError:
    return DeadlineError("LOCK_WAIT", "A lock in the database was not released in time. Try again.")


def _time_limit() -> UserStreamError:
    return DeadlineError(
        "QUERY_TIME_LIMIT", "A query took longer than the call's deadline or the server's limit."
    )


def _credentials() -> UserStreamError:
    return PreconditionError(
        "DATABASE_CREDENTIALS",
        "The database refuses the server's user. Fix the user, password, grants or TLS in"
        " USERSTREAM_DATABASE_URL or in the database.",
    )


def _table_missing() -> UserStreamError:
    return PreconditionError(
        "TABLE_MISSING",
        "The database or its table user_data does not exist. Create and fill it with"
        " scripts/seed.py, or name another database in USERSTREAM_DATABASE_URL.",
    )


def _table_changed() -> UserStreamError:
    return ConflictError(
        "TABLE_CHANGED",
        "The table user_data was altered under this snapshot. Retry; a stream resumes from its last"
        " resume_token, with a new read view.",
    )


def _table_shape() -> UserStreamError:
    return PreconditionError(
        "TABLE_SHAPE",
        "The table user_data lacks a column, or is a view that cannot be read."
        " `userstream-server --check` says more.",
    )


_TABLE: dict[Callable[[], UserStreamError], tuple[int, ...]] = {
    _deadlock: (1213,),
    _lock_wait: (1205,),
    _time_limit: (3024, 1969),
    # Interrupted by KILL QUERY from elsewhere, or at the database's own wish.
    _killed: (1317, 1927, 3169),
    _unavailable: (
        _NO_NUMBER,
        1053,
        1077,
        1079,
        1080,
        1152,
        1153,
        1158,
        1159,
        1160,
        1161,
        1184,
        2002,
        2003,
        2005,
        2006,
        2012,
        2013,
        2055,
        3032,
        4031,
    ),
    _overloaded: (1040, 1041, 1135, 1203, 1226),
    _credentials: (
        1044,
        1045,
        1130,
        1142,
        1143,
        1227,
        1251,
        1275,
        1524,
        1698,
        1820,
        1862,
        2026,
        2049,
        2059,
        2061,
        2054,
        3118,
        3159,
        3955,
    ),
    _table_missing: (1046, 1049, 1146),
    # The definition has changed since the read view was taken.
    _table_changed: (1412,),
    # 1356 and 1449: a view whose table, column or definer is gone.
    _table_shape: (1054, 1356, 1449),
}
_BY_NUMBER = {number: make for make, numbers in _TABLE.items() for number in numbers}


def translate(number: int | None) -> UserStreamError:
    """Return the domain error for a driver's error number; an unknown one is a defect."""
    make = _BY_NUMBER.get(number or _NO_NUMBER)
    return make() if make else InternalError("DATABASE_ERROR")
