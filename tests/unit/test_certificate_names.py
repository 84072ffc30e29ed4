"""The allow-list of names in client certificates, kind by kind."""

import pytest
from userstream_server.auth.certificate_names import (
    CertificateName,
    ClientNames,
    names_in_certificate,
)

SERVICE = "userstream.v1.UserService"


@pytest.mark.parametrize(
    ("entry", "name", "fitting"),
    [
        ("reports.example", "Reports.example", "dns"),
        ("*.batch.example", "night.batch.example", "dns"),
        ("spiffe://example/reports", "spiffe://example/reports", "uri"),
        ("urn:example:reports", "urn:example:reports", "uri"),
        ("reports@example.com", "reports@example.com", "email"),
        ("192.0.2.1", "192.0.2.1", "ip"),
        ("2001:db8::1", "2001:db8:0::1", "ip"),
    ],
)
def test_kinds(entry: str, name: str, fitting: str) -> None:
    """An entry matches alternative names of the one kind that it can mean, and no other kind with the same text."""
    names = ClientNames.parse(entry)
    kinds = {"dns", "uri", "email", fitting}

    assert {fitting} == {
        kind for kind in kinds if names.allowed(SERVICE, [CertificateName(kind, name)])
    }


def test_which_names_count() -> None:
    """Alternative names of every kind, or else the common name; never both."""
    common = {"x509_common_name": [b"common"]}
    names = {"peer_dns": [b"a.example"], "peer_email": [b"b@example"]}
    unknown = {"x509_subject_alternative_name": [b"what?"]}

    assert [("dns", "a.example"), ("email", "b@example")] == names_in_certificate(common | names)
    assert [("common", "common")] == names_in_certificate(common)
    assert names_in_certificate(common | unknown) == []
    assert names_in_certificate({}) == []


def test_what_the_log_shows() -> None:
    """An e-mail address is shown as a digest."""
    assert CertificateName("dns", "a.example").shown == "a.example"
    for kind in ("email", "common"):
        shown = CertificateName(kind, "Jane@Example.com").shown
        assert shown.startswith("email:")
        assert shown == CertificateName(kind, "jane@example.com").shown
        assert "jane" not in shown.lower()
