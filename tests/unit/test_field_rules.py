"""The allow-list of fields: which entry decides about which caller."""

from pathlib import Path

import pytest
from userstream_server.auth.bearer_tokens import AuthTokens
from userstream_server.auth.certificate_names import CertificateName
from userstream_server.auth.field_rules import FIELDS, FieldRules
from userstream_server.errors import AccessDeniedError
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rpc.field_access import refuse_denied
from userstream_server.settings import SettingsError, load_settings

RULES = FieldRules.parse(
    "reports.example = age, *.team.example=name+email, token:reports=name, spiffe://a/b?c=d=*, a@b.example=age"
)
DNS = "dns"


def name(text: str, kind: str = DNS) -> CertificateName:
    return CertificateName(kind, text)


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        ([name("reports.example")], {"user_id", "age"}),
        ([name("Reports.Example")], {"user_id", "age"}),
        ([name("a.team.example")], {"user_id", "name", "email"}),
        ([name("team.example")], {"user_id"}),
        ([name("reports", "token")], {"user_id", "name"}),
        ([name("spiffe://a/b?c=d", "uri")], {*ALL_FIELDS}),
        ([name("a@b.example", "email")], {"user_id", "age"}),
        # Of the same text, but of another kind: a certificate never passes for a token, nor the other way round.
        ([name("reports")], {"user_id"}),
        ([name("reports", "common")], {"user_id"}),
        ([name("token:reports")], {"user_id"}),
        ([name("reports.example", "token")], {"user_id"}),
        # The first entry that fits any of the caller's names decides.
        ([name("reports", "token"), name("reports.example")], {"user_id", "age"}),
        ([name("stranger.example")], {"user_id"}),
        ([], {"user_id"}),
    ],
)
def test_which_entry_decides(names: list[CertificateName], fields: set[str]) -> None:
    """Names of their own kind only; a caller that no entry fits reads ids alone."""
    assert fields == RULES.allowed(names)


def test_everybody() -> None:
    """Without entries all fields are open; `*` fits every caller that no earlier entry fits."""
    rules = FieldRules.parse("token:full=*, *=age")

    assert {*ALL_FIELDS} == FieldRules.parse(" ").allowed([])
    assert {*ALL_FIELDS} == rules.allowed([name("full", "token")])
    assert {"user_id", "age"} == rules.allowed([])


def test_the_fields_are_the_users() -> None:
    """The list of sign-in and that of the rows are one."""
    assert FIELDS == ALL_FIELDS


@pytest.mark.parametrize(
    "text",
    [
        "reports.example",
        "=age",
        "a=",
        "a=phone",
        "a=age+",
        "a*.b=age",
        "token:=age",
        "*.=age",
        "a=*+age",
    ],
)
def test_entries_that_mean_nothing(text: str) -> None:
    """An entry that cannot be understood ends the start with one line, which never shows it."""
    with pytest.raises(
        SettingsError, match=r"^USERSTREAM_FIELDS_ALLOWED: takes CALLER=FIELD"
    ) as caught:
        load_settings(fields_allowed=text)

    assert "reports" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "needed"),
    [("token:reports=age", "AUTH_TOKENS_FILE"), ("reports.example=age", "TLS_CLIENT_CA")],
)
def test_callers_that_cannot_be_known(text: str, needed: str) -> None:
    """A list of callers needs the setting by which they are known."""
    with pytest.raises(SettingsError, match=f"needs USERSTREAM_{needed}"):
        load_settings(fields_allowed=text)


def test_names_of_tokens(tmp_path: Path) -> None:
    """A token may have a name, which another may share; a line without one is a token as it always was."""
    file = tmp_path / "tokens"
    file.write_text("# a comment\nname=reports first\nname=reports\tsecond==\nthird=name=x\n")
    tokens = AuthTokens(file)

    assert ["reports", "reports", ""] == [
        tokens.name_of(token) for token in ("first", "second==", "third=name=x")
    ]
    assert [True, True, True, False] == [
        tokens.accepts(token)
        for token in ("first", "second==", "third=name=x", "name=reports first")
    ]
    assert (frozenset({"reports"}), 3, 5) == (tokens.names, len(tokens), tokens.shortest_chars)


@pytest.mark.parametrize(
    ("scan", "allowed", "denied"),
    [
        (Scan(), {"user_id", "name", "age"}, "email (read)"),
        (Scan(fields=("user_id",)), {"user_id"}, ""),
        (Scan(fields=("age",)), {"user_id"}, "age (read)"),
        (Scan(UserFilter(age_over=0), fields=("user_id",)), {"user_id"}, "age (filter.age_over)"),
        (Scan(UserFilter(age_up_to=0), fields=("user_id",)), {"user_id"}, "age (filter.age_up_to)"),
        (
            Scan(UserFilter(name_prefix="A"), fields=("user_id",)),
            {"user_id"},
            "name (filter.name_prefix)",
        ),
        (
            Scan(UserFilter(email_domain="example.com")),
            {"user_id", "name"},
            "email (read), age (read), email (filter.email_domain)",
        ),
    ],
)
def test_what_is_denied(scan: Scan, allowed: set[str], denied: str) -> None:
    """Each field that a call reads or filters by must be allowed; the error names those that are not."""
    if not denied:
        refuse_denied(scan, allowed)
        return
    with pytest.raises(AccessDeniedError) as caught:
        refuse_denied(scan, allowed)

    assert (
        f"may not read {denied}. It may read {', '.join(sorted(allowed, key=ALL_FIELDS.index))}:"
        in (caught.value.message)
    )
    assert caught.value.reason == "FIELD_DENIED"
