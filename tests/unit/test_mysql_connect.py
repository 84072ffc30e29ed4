"""What it means when connecting fails."""

import pytest
from mysql.connector import errors as driver_errors
from userstream_server.databases.mysql import connecting
from userstream_server.databases.mysql.connecting import connect_any
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError, UnavailableError

OPTIONS = DatabaseOptions(DatabaseUrl.parse("mysql://u:p@127.0.0.1:3306/x"))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("SSL connection error: error:00000000:lib(0)::reason(0)", UnavailableError),
        ("SSL connection error: error:00000000:lib(0):func(0):reason(0)", UnavailableError),
        ("error:0A000126:SSL routines::unexpected eof while reading", UnavailableError),
        ("EOF occurred in violation of protocol (_ssl.c:1006)", UnavailableError),
        ("error:0A000086:SSL routines::certificate verify failed", PreconditionError),
        ("SSL is required but the server doesn't support it", PreconditionError),
    ],
)
def test_a_database_that_leaves_while_shaking_hands(
    monkeypatch: pytest.MonkeyPatch, words: str, kind: type[Exception]
) -> None:
    """A TLS handshake that breaks off is the database being away; one that is refused needs somebody to mend it."""

    def fail(*_: object, **__: object) -> None:
        raise driver_errors.InterfaceError(words, errno=2026)

    monkeypatch.setattr(connecting, "_open", fail)

    with pytest.raises(kind) as caught:
        connect_any(OPTIONS, tuple(OPTIONS.url.hosts))

    assert words not in str(caught.value)
