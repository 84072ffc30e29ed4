"""What a row must be so that it can be sent: an id of printable ASCII, texts in UTF-8, an age in 64 bits.

The table's shape cannot rule out every value that does not fit, so each row is checked on its way. A
row that does not fit ends the call with FAILED_PRECONDITION: leaving it out, or guessing what it
means, would end the call OK with other rows than the table has.
"""

import re
from collections.abc import Iterable, Sequence

from userstream_server.errors import PreconditionError

__all__ = ["check_rows", "checked_age", "checked_id", "unfit_row"]

_AGE_MIN, _AGE_MAX = -(2**63), 2**63 - 1
_NOT_IN_IDS = re.compile(rb"[^\x20-\x7e]")
_WHOLE = re.compile(rb"-?[0-9]{1,100}")
# What UUIDs and the like are made of. Any other id could be an e-mail address, and is not shown.
_SHOWN_ID = re.compile(rb"[0-9A-Za-z-]{1,64}")
_NO_TEXT = "is NULL, or not text"


def unfit_row(row: Sequence[bytes | None]) -> PreconditionError | None:
    """Return the error for a row of (user_id, name, email, age) that cannot be sent; None if it can."""
    user_id, name, email, age = row
    fault = (
        _fault_of_id(user_id)
        or _fault_of_text("name", name)
        or _fault_of_text("email", email)
        or _fault_of_age(age)
    )
    return _error(fault, user_id) if fault else None


def check_rows(rows: Iterable[Sequence[bytes | None]]) -> None:
    """Check rows one by one.

    Raises:
        PreconditionError: For the first one that cannot be sent.
    """
    for row in rows:
        if error := unfit_row(row):
            raise error


def checked_id(user_id: bytes | None) -> str:
    """Return a user_id as text.

    Raises:
        PreconditionError: It cannot be sent.
    """
    if user_id is None or _fault_of_id(user_id):
        raise _error(_fault_of_id(user_id), user_id)
    return user_id.decode("ascii")


def checked_age(age: bytes | None) -> int:
    """Return an age in years, given in decimal digits.

    Raises:
        PreconditionError: It is NULL, not a whole number, or beyond 64 bits.
    """
    if age is None or _fault_of_age(age):
        raise _error(_fault_of_age(age), None)
    return int(age)


def _fault_of_id(user_id: bytes | None) -> str:
    if user_id is None:
        return f"its user_id {_NO_TEXT}"
    if not user_id:
        return "its user_id is empty"
    if _NOT_IN_IDS.search(user_id):
        return "its user_id has characters other than printable ASCII"
    return ""


def _fault_of_text(column: str, text: bytes | None) -> str:
    if text is None:
        return f"its {column} {_NO_TEXT}"
    try:
        text.decode()
    except UnicodeDecodeError:
        return f"its {column} is not valid UTF-8"
    return ""


def _fault_of_age(age: bytes | None) -> str:
    if age is None:
        return "its age is NULL, or not a whole number"
    if not _WHOLE.fullmatch(age):
        return "its age is not a whole number"
    return "" if _AGE_MIN <= int(age) <= _AGE_MAX else "its age is beyond 64 bits"


def _error(fault: str, user_id: bytes | None) -> PreconditionError:
    shown = user_id is not None and _SHOWN_ID.fullmatch(user_id)
    which = f" (user_id {user_id.decode()})" if shown and user_id else ""
    return PreconditionError(
        "TABLE_ROW",
        f"user_data has a row that cannot be sent: {fault}{which}. Correct or delete that row.",
    )
