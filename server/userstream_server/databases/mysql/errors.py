"""The driver's error numbers in the service's own words.

Numbers: https://dev.mysql.com/doc/mysql-errors/9.0/en/ and, from 1900 on, https://mariadb.com/kb/en/mariadb-error-codes/
"""

from collections.abc import Callable

from userstream_server.databases.kept_connection import OUT_OF_FILES
from userstream_server.databases.mysql.access_errors import REFUSALS, refused
from userstream_server.errors import (
    ConflictError,
    DeadlineError,
    InternalError,
    OverloadedError,
    PreconditionError,
    UnavailableError,
    UserStreamError,
)

__all__ = ["translate", "translate_error"]

_NO_NUMBER = -1
"""What the driver gives where it noticed by itself that its connection is gone."""
_GONE = "The database connection was lost. Retry; a stream resumes from its last resume_token."


def _unavailable() -> UserStreamError:
    return UnavailableError("DATABASE_UNAVAILABLE", _GONE)


def _out_of_files() -> UserStreamError:
    return UnavailableError(
        OUT_OF_FILES, "This server has no file descriptor for a database connection. Retry soon."
    )


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


def _read_only() -> UserStreamError:
    return PreconditionError(
        "DATABASE_READ_ONLY",
        "The database server is read-only (read_only or super_read_only), as replicas are. Name the server"
        " that takes writes in USERSTREAM_DATABASE_URL.",
    )


def _table_missing() -> UserStreamError:
    return PreconditionError(
        "TABLE_MISSING",
        "The database or its table user_data does not exist. Create and fill it with `userstream-server seed`"
        " (scripts/seed.py), or name another database in USERSTREAM_DATABASE_URL.",
    )


def _table_changed() -> UserStreamError:
    return ConflictError(
        "TABLE_CHANGED",
        "The table user_data was altered under this snapshot. Retry; a stream resumes from its last"
        " resume_token, with a new read view.",
    )


def _key_changed() -> UserStreamError:
    return ConflictError(
        "TABLE_CHANGED", "The key of user_data is of another type than it was. Retry."
    )


def _table_shape() -> UserStreamError:
    return PreconditionError(
        "TABLE_SHAPE", "The table user_data lacks a column. `userstream-server --check` says more."
    )


def _view_unreadable() -> UserStreamError:
    return PreconditionError(
        "TABLE_SHAPE",
        "The view user_data cannot be read: a table or column that it names is gone, or its definer (with SQL SECURITY"
        " INVOKER the account) lacks SELECT on one. Create or grant what is missing, or CREATE OR REPLACE VIEW"
        " user_data.",
    )


_TABLE: dict[Callable[[], UserStreamError], tuple[int, ...]] = {
    # MariaDB's 1020: a row that is locked has changed since the transaction read it.
    _deadlock: (1213, 1020),
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
    _out_of_files: (2001, 2004),
    _overloaded: (1040, 1041, 1135, 1203, 1226),
    # A server option forbids the statement; read-only transactions; InnoDB and the whole server read-only.
    _read_only: (1290, 1792, 1836, 1874),
    _table_missing: (1046, 1049, 1146),
    # The definition has changed since the read view was taken.
    _table_changed: (1412,),
    # An id in bytes, compared with a key that was of that type when the table was last looked at.
    _key_changed: (3854,),
    _table_shape: (1054,),
    # Its table, its column or its definer is gone.
    _view_unreadable: (1356, 1449),
}
_BY_NUMBER = {number: make for make, numbers in _TABLE.items() for number in numbers}


def translate(number: int | None, text: str = "") -> UserStreamError:
    """Return the domain error for a driver's error; an unknown one is a defect.

    Args:
        number: The driver's error number.
        text: The database's message. Of it, only the names of missing rights are used.
    """
    number = number or _NO_NUMBER
    if number in REFUSALS:
        return refused(number, text)
    make = _BY_NUMBER.get(number)
    return make() if make else InternalError("DATABASE_ERROR")


def translate_error(error: Exception) -> UserStreamError:
    """Return the domain error for one of the driver's exceptions."""
    return translate(getattr(error, "errno", None), str(error))
