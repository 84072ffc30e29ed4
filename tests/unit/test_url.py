"""Database URLs are taken apart, and never show their password."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream_server.databases.url import DatabaseUrl


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite:///users.db", DatabaseUrl("sqlite", path=Path("users.db"))),
        ("sqlite:////data/a%20b.db", DatabaseUrl("sqlite", path=Path("/data/a b.db"))),
        (
            "mysql://ann:p%40ss%2Fw%3Ard@db.example:3307/shop",
            DatabaseUrl("mysql", None, "ann", "p@ss/w:rd", (("db.example", 3307),), "shop"),
        ),
        ("mysql://ann@db", DatabaseUrl("mysql", None, "ann", "", (("db", 3306),), "ALX_prodev")),
        (
            "mariadb://u:p@a,b:1,[::1]:2/x",
            DatabaseUrl("mysql", None, "u", "p", (("a", 3306), ("b", 1), ("::1", 2)), "x"),
        ),
        (
            "mysql://u:p@db/x?tls=required&tls_ca=/ca.pem",
            DatabaseUrl("mysql", None, "u", "p", (("db", 3306),), "x", "required", "/ca.pem"),
        ),
    ],
)
def test_good_urls(text: str, expected: DatabaseUrl) -> None:
    """Each part is where it belongs, with its default where it is left out."""
    assert expected == DatabaseUrl.parse(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("postgres://u:secret@h/d", "postgres://"),
        ("mysql://u:secret@h:99999/d", "99999"),
        ("mysql://u:secret@h/d?colour=red", "colour"),
    ],
)
def test_an_error_names_what_it_got(text: str, named: str) -> None:
    """The part that is wrong is named, so that one can find it."""
    with pytest.raises(ValueError, match=named):
        DatabaseUrl.parse(text)


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_any_account_survives_percent_encoding(user: str, password: str) -> None:
    """Whatever a user name and password hold comes back as it was."""
    text = f"mysql://{quote(user, safe='')}:{quote(password, safe='')}@db/x"
    url = DatabaseUrl.parse(text)

    assert (user, password) == (url.user, url.password)


special = st.text(alphabet="@:/?#%[],=&2", max_size=6)


@given(special, special, st.sampled_from(["h:99999/d", "h/d", "h/d?colour=red", "/"]))
def test_a_password_that_is_not_encoded_is_never_repeated(
    before: str, after: str, rest: str
) -> None:
    """However its special characters take the URL apart, nothing that is shown has the secret part."""
    try:
        url = DatabaseUrl.parse(f"mysql://u:{before}hunter{after}@{rest}")
        shown = repr(url) + url.masked
    except ValueError as error:
        shown = str(error)

    assert "hunter" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "postgres://u:secret@h/d",
        "sqlite://",
        "sqlite:///",
        "mysql://",
        "mysql://h/d",
        "mysql://:secret@",
        "mysql://u:secret@/d",
        "mysql://u:secret@h:0/d",
        "mysql://u:secret@h:99999/d",
        "mysql://u:secret@h:port/d",
        "mysql://u:secret@h,,i/d",
        "mysql://u:secret@h/d?tls=maybe",
        "mysql://u:secret@h/d?secret=1&x=2",
        "mysql://u:secret@h/d?tls_ca=/ca.pem",
        "mysql://u:secret@h/d?tls=off&tls_ca=/ca.pem",
        "mysql://u:secret@h/d?tls=required&tls_cert=/c.pem",
        "mysql://u:secret@h/d?tls=required&tls_ca=",
        "mysql://u:secret@h/d?tls=off&tls=required",
        "mysql://u:secret@[::1/d",
        "mysql://u:secret@[h]/d",
        "mysql://u:secret@[::1]3307/d",
        "mysql://u:secret@::1/d",
        "mysql://u:secret@h h/d",
        "mysql://u:secret@h/d/e",
        "mysql://u:secret@h/" + "d" * 65,
        "mysql://u:secret%ff@h/d",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "sqlite:///folder/",
    ],
)
def test_bad_urls(text: str) -> None:
    """Each is refused in one line that does not repeat the password."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        DatabaseUrl.parse(text)

    assert "\n" not in str(caught.value)
    assert "u:secret" not in str(caught.value)


def test_the_password_is_not_shown() -> None:
    """Neither repr nor the printable form has it."""
    url = DatabaseUrl.parse("mysql://ann:topsecret@a,[::1]:5/x?tls=off")

    assert "topsecret" not in repr(url)
    assert url.masked == "mysql://ann:***@a:3306,[::1]:5/x?tls=off"
