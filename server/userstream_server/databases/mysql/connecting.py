"""Opening connections to MySQL or MariaDB: host, driver, session settings, and TLS that is on."""

import ssl
from errno import EMFILE, ENFILE
from typing import Any

import mysql.connector
from mysql.connector import HAVE_CEXT
from mysql.connector import errors as driver_errors

from userstream_server.databases.mysql.errors import translate
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError

__all__ = [
    "DRIVER_ERRORS",
    "DRIVER_VERSION",
    "HAVE_CEXT",
    "Address",
    "connect_any",
    "is_mariadb",
    "is_pure",
]

Address = tuple[str, int]
DRIVER_VERSION: str = mysql.connector.__version__

if HAVE_CEXT:
    from _mysql_connector import MySQLInterfaceError

    # The extension's own functions raise its own error, which is not one of the driver's.
    DRIVER_ERRORS: tuple[type[Exception], ...] = (driver_errors.Error, MySQLInterfaceError)
else:
    DRIVER_ERRORS = (driver_errors.Error,)

_NEEDS_SECURE_CONNECTION = 2061
_TLS_FAILED = 2026
_NO_CONNECTION = 2003
_LOST = 2013
_NO_SOCKET = 2004
# Where the TLS library gave no reason, or an end too early: nothing is wrong with certificates or settings.
_BROKE_OFF_WORDS = ("reason(0)", "unexpected eof", "eof occurred", "connection reset")
_NO_LIMIT = 2**64 - 1
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_pure(options: DatabaseOptions) -> bool:
    """Say whether the driver's Python side is used: it was asked for, or its C extension does not load."""
    return options.use_pure or not HAVE_CEXT


def connect_any(
    options: DatabaseOptions, addresses: tuple[Address, ...], *, writing: bool = False
) -> tuple[Any, Address]:
    """Connect to the first of some hosts that answers.

    Args:
        options: How to connect.
        addresses: The hosts, in the order to try them.
        writing: For seeding: with transactions, not read-only, and no database chosen yet.

    Returns:
        The driver's connection, ready to read, and the address it leads to.

    Raises:
        UserStreamError: No host answers, or one refuses; the last one's answer.
    """
    failure: Exception | None = None
    for host, port in addresses:
        try:
            return _connect(options, host, port, writing=writing), (host, port)
        except DRIVER_ERRORS as error:
            failure = translate(_number_of(error), str(error))
            failure.__cause__ = error
        except OSError as error:
            if error.errno in {EMFILE, ENFILE}:
                raise translate(_NO_SOCKET) from error
            # Otherwise a certificate file is not there.
            raise PreconditionError(
                "DATABASE_TLS",
                "A certificate file named in USERSTREAM_DATABASE_URL cannot be read.",
            ) from error
    assert failure is not None, "a URL has at least one host"  # noqa: S101
    raise failure


def _number_of(error: Exception) -> int:
    """Return the number of what kept us from connecting."""
    number = getattr(error, "errno", None) or _NO_CONNECTION
    text = str(error).lower()
    if number == _TLS_FAILED and any(words in text for words in _BROKE_OFF_WORDS):
        # The database went away while the two were shaking hands: that passes, bad certificates do not.
        return _LOST
    return int(number)


def _connect(options: DatabaseOptions, host: str, port: int, *, writing: bool) -> Any:
    url = options.url
    tls = _tls(url, host, pure=is_pure(options))
    try:
        connection = _open(options, host, port, tls, writing=writing)
    except driver_errors.Error as error:
        if error.errno != _NEEDS_SECURE_CONNECTION or url.tls is not None:
            raise
        # caching_sha2_password takes a password it has not seen lately over TLS only. One such
        # connection fills the server's cache; from then on the account may come over loopback
        # without the cost of encryption.
        _open(options, host, port, {}, writing=True).close()
        connection = _open(options, host, port, tls, writing=writing)
    try:
        with connection.cursor() as cursor:
            _refuse_plaintext(cursor, url)
            _set_session(cursor, options, mariadb=is_mariadb(connection), writing=writing)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(
    options: DatabaseOptions, host: str, port: int, tls: dict[str, Any], *, writing: bool
) -> Any:
    url = options.url
    socket_seconds = round(options.socket_timeout_seconds or options.query_timeout_seconds + 10)
    return mysql.connector.connect(
        host=host,
        port=port,
        user=url.user,
        password=url.password,
        database=None if writing else url.database,
        charset="utf8mb4",
        # The default, off, would keep a read view open from the first query on.
        autocommit=not writing,
        use_pure=is_pure(options),
        connection_timeout=max(1, round(options.connect_timeout_seconds)),
        read_timeout=socket_seconds,
        write_timeout=socket_seconds,
        # Known, so that the driver's escaping of parameters is right whatever the server's default is.
        sql_mode="STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
        **tls,
    )


def is_mariadb(connection: Any) -> bool:
    """Say whether one of the driver's connections leads to MariaDB."""
    return "mariadb" in str(connection.server_info).lower()


def _set_session(cursor: Any, options: DatabaseOptions, *, mariadb: bool, writing: bool) -> None:
    """Set what a global setting of the database would otherwise change, and make a reading session read-only."""
    values = {
        "sql_select_limit": _NO_LIMIT,  # would cut a SELECT without LIMIT short, and say nothing
        "sql_big_selects": 1,  # max_join_size would refuse a SELECT that reads many rows
        "sql_safe_updates": 0,
        "completion_type": 0,  # RELEASE would end the connection behind a snapshot or a batch of rows
        # Each query brings its own time limit.
        "max_statement_time" if mariadb else "max_execution_time": 0,
    }
    if not writing:
        values["net_write_timeout"] = int(options.net_write_timeout_seconds)
    cursor.execute(
        "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in values.items())
    )
    if not writing:
        # The service never writes; the database shall refuse it too.
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _refuse_plaintext(cursor: Any, url: DatabaseUrl) -> None:
    """Refuse a connection that is not encrypted although it has to be."""
    if url.tls != "required":
        return
    cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    if not cursor.fetchone()[1]:
        raise PreconditionError(
            "DATABASE_TLS",
            "USERSTREAM_DATABASE_URL asks for TLS and the database does not offer it.",
        )


def _tls(url: DatabaseUrl, host: str, *, pure: bool) -> dict[str, Any]:
    """Return the driver's TLS options: verified when required, off on loopback, otherwise as offered."""
    # The driver's Python side, unlike its C extension, would send a password that the server has not
    # seen lately in plain text.
    if url.tls == "off" or (url.tls is None and host in _LOOPBACK and not pure):
        return {"ssl_disabled": True}
    if url.tls is None:
        return {}
    return {
        "ssl_ca": url.tls_ca or ssl.get_default_verify_paths().cafile,
        "ssl_cert": url.tls_cert,
        "ssl_key": url.tls_key,
        # ssl_verify_cert alone would connect in plaintext to a server without TLS; see _refuse_plaintext.
        "ssl_verify_cert": True,
        "ssl_verify_identity": True,
    }
