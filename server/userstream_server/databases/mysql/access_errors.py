"""Refused sign-ins and missing rights, each in words that say what to change."""

import re
from collections.abc import Callable
from typing import Final

from userstream_server.errors import PreconditionError

__all__ = ["REFUSALS", "refused"]

_SERVING = "GRANT SELECT ON <database>.user_data TO <account>"
_SEEDING = "GRANT CREATE, SELECT, INSERT, UPDATE ON <database>.* TO <account>"
_FIX_SIGN_IN = (
    "Fix the user, password and hosts in USERSTREAM_DATABASE_URL, or the account in the database."
)
# Both databases put the names of the rights at these places of their messages, in capitals.
_DENIED = re.compile(r"\b([A-Z ,]+?) command denied\b")
_NEEDED = re.compile(r"at least one of\) the ([A-Z_ ,]+?) privilege")
# Only words from this list are repeated: the rest of a message names accounts, hosts and tables.
_RIGHTS: Final = frozenset({
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "LOCK TABLES",
    "SHOW VIEW", "PROCESS", "SUPER", "SYSTEM_VARIABLES_ADMIN", "SESSION_VARIABLES_ADMIN", "CONNECTION_ADMIN",
    "CONNECTION ADMIN", "READ_ONLY ADMIN", "READ ONLY ADMIN", "BINLOG ADMIN",
})  # fmt: skip


def _account(text: str) -> Callable[[str], str]:
    return lambda _: f"{text} {_FIX_SIGN_IN}"


def _transport(_: str) -> str:
    return (
        "The database and this server agree on no secure way to sign in. Fix TLS (?tls=required) or the"
        " account's authentication: the user, password and TLS options are in USERSTREAM_DATABASE_URL."
    )


def _database(_: str) -> str:
    return (
        "The database account has no right to this database, or may not create it. An administrator can"
        f" give it. To serve: {_SERVING}. To seed: {_SEEDING}."
    )


def _table(text: str) -> str:
    rights = _rights(_DENIED, text)
    if not rights:
        return f"The database account lacks a right on user_data. To serve: {_SERVING}. To seed: {_SEEDING}."
    return (
        f"The database account lacks the right {rights} on user_data. An administrator can give it:"
        f" GRANT {rights} ON <database>.user_data TO <account>."
    )


def _view(_: str) -> str:
    return (
        "The database account may not ask how the view user_data is read, which tells whether user_id is a key. An"
        " administrator can give the rights: GRANT SELECT, SHOW VIEW ON <database>.user_data TO <account>, the same on"
        " each view below it, and GRANT SELECT (<key column>) on the table below."
    )


def _global(text: str) -> str:
    rights = _rights(_NEEDED, text) or "it does not have"
    return (
        f"The database account needs a global right: {rights}. An administrator can give one:"
        " GRANT <right> ON *.* TO <account>."
    )


def _rights(pattern: re.Pattern[str], text: str) -> str:
    """Return the rights that a message names, as for GRANT; empty when it names none that we know."""
    found = pattern.search(text)
    names = [name.strip() for name in found[1].split(",")] if found else []
    return ", ".join(name for name in names if name in _RIGHTS)


_refused_account = _account("The database refuses the user or the password.")
_refused_host = _account("The database refuses this machine: the account is for other hosts.")
_expired = _account("The account's password is expired. Set a new one.")
_locked = _account("The account is locked.")

REFUSALS: Final[dict[int, Callable[[str], str]]] = {
    1044: _database,
    1045: _refused_account,
    1698: _refused_account,
    1130: _refused_host,
    1820: _expired,
    1862: _expired,
    3118: _locked,
    3955: _locked,
    1142: _table,
    1143: _table,
    1227: _global,
    1345: _view,
    **dict.fromkeys((1251, 1275, 1524, 2026, 2049, 2054, 2059, 2061, 3159), _transport),
}
"""By the driver's number: from the database's message to ours. Only known names of rights are taken from it."""


def refused(number: int, text: str) -> PreconditionError:
    """Return the error for one of the numbers in `REFUSALS` and the database's message."""
    return PreconditionError("DATABASE_CREDENTIALS", REFUSALS[number](text))
