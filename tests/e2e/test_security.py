"""Who may call: names in certificates, tokens, and what a stranger learns."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import RichError, rich_error, secure_channel, stub_for
from userstream_testing.certificates import Authority
from userstream_testing.server_process import serving
from userstream_testing.sign_in import failure, hang_up, tls, user_count

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
DENIED = grpc.StatusCode.PERMISSION_DENIED


def reflect(channel: grpc.Channel, service: str = REFLECTION) -> list[bytes]:
    """Ask for the list of services, as grpcurl does (field 7 of the request)."""
    method: Any = channel.stream_stream(f"/{service}/ServerReflectionInfo")
    return list(method(iter([b"\x3a\x00"]), timeout=10))


NAMES = [
    # the list, the certificate's common name and host, whether the service and reflection are open to it
    ("reports.example", "x", "reports.example", True, True),
    ("reports.example", "x", "Reports.Example", True, True),
    ("reports.example", "reports.example", "other.example", False, False),
    ("reports.example", "reports.example", "", True, True),
    ("a.example, *.batch.example", "x", "night.batch.example", True, True),
    ("*.batch.example", "x", "batch.example", False, False),
    ("*.batch.example", "x", "a.b.batch.example", False, False),
    (f"userstream.v1.UserService=a.example,{REFLECTION}=b.example", "x", "a.example", True, False),
    (f"userstream.v1.UserService=a.example,{REFLECTION}=b.example", "x", "b.example", False, True),
    ("", "x", "anybody.example", True, True),
]


def test_client_names(reader_url: str, tmp_path: Path, authority: Authority) -> None:
    """Mutual TLS lets in the names on the list, a list for each service; SIGHUP makes another list count."""
    settings = tls(authority, clients=True)
    (tmp_path / ".env").write_text(f"USERSTREAM_TLS_CLIENT_NAMES={NAMES[0][0]}\n")
    seen = []
    with serving(reader_url, tmp_path, **settings) as server:
        for names, common_name, host, *_ in NAMES:
            (tmp_path / ".env").write_text(f"USERSTREAM_TLS_CLIENT_NAMES={names}\n")
            hang_up(server)
            pair = authority.issue(common_name, host=host, address="")
            with secure_channel(server.target, authority.ca, pair) as channel:
                seen.append((names, common_name, host, *may_call(channel)))

    assert NAMES == seen


OTHER_KINDS = [
    # the list, the certificate's one alternative name, whether it may call
    ("reports.example", x509.RFC822Name("reports.example"), False),
    ("reports.example", x509.UniformResourceIdentifier("reports.example"), False),
    ("*.example", x509.RFC822Name("reports.example"), False),
    ("spiffe://example/reports", x509.DNSName("spiffe://example/reports"), False),
    ("spiffe://example/reports", x509.UniformResourceIdentifier("spiffe://example/reports"), True),
    ("reports@example.com", x509.RFC822Name("reports@example.com"), True),
    ("192.0.2.7", x509.DNSName("192.0.2.7"), False),
    ("192.0.2.7", x509.IPAddress(ip_address("192.0.2.7")), True),
    ("reports.example", x509.DNSName("reports.example"), True),
]


def test_kinds_of_client_names(reader_url: str, tmp_path: Path, authority: Authority) -> None:
    """An e-mail address, URI or IP address in a certificate never passes for a host name on the list."""
    settings = tls(authority, clients=True)
    (tmp_path / ".env").write_text("USERSTREAM_TLS_CLIENT_NAMES=nobody.example\n")
    seen = []
    with serving(reader_url, tmp_path, **settings) as server:
        for names, name, _ in OTHER_KINDS:
            (tmp_path / ".env").write_text(f"USERSTREAM_TLS_CLIENT_NAMES={names}\n")
            hang_up(server)
            pair = authority.issue("reports.example", host="", address="", others=[name])
            with secure_channel(server.target, authority.ca, pair) as channel:
                seen.append((names, name, may_call(channel)[0]))
        log = server.log

    assert OTHER_KINDS == seen
    assert "reports@" not in log


def may_call(channel: grpc.Channel) -> tuple[bool, bool]:
    """Say whether the service and reflection answer; a refusal must have the one reason."""
    answers = []
    for call in (lambda: user_count(channel), lambda: reflect(channel)):
        try:
            answers.append(bool(call()))
        except grpc.RpcError as error:
            refusal = RichError(error)
            assert (refusal.code, refusal.info.reason) == (DENIED, "CLIENT_NAME_REFUSED")
            answers.append(False)
    return answers[0], answers[1]


def test_a_client_nobody_vouches_for(reader_url: str, tmp_path: Path, authority: Authority) -> None:
    """Without a certificate, or with another authority's, there is no connection; health needs one too."""
    (tmp_path / "others").mkdir()
    stranger = Authority(tmp_path / "others").issue("client")
    with serving(reader_url, tmp_path, **tls(authority, clients=True)) as server:
        for pair in (None, stranger):
            with secure_channel(server.target, authority.ca, pair) as channel:
                assert failure(channel).code is grpc.StatusCode.UNAVAILABLE
        with stub_for(server.target) as stub:
            call = stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=10)
            assert rich_error(call).code is grpc.StatusCode.UNAVAILABLE
        with secure_channel(server.target, authority.ca, authority.issue("client")) as channel:
            assert user_count(channel) == 60_000


def test_two_tokens(reader_url: str, tmp_path: Path) -> None:
    """A call with two authorization headers is refused, also if both are right: who it is from is not clear."""
    (tmp_path / "tokens").write_text("one-token\nother-token\n")
    headers = [("authorization", f"Bearer {token}") for token in ("one-token", "other-token")]
    with (
        serving(reader_url, tmp_path, AUTH_TOKENS_FILE=tmp_path / "tokens") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        assert [60_000, 60_000] == [user_count(channel, metadata=[header]) for header in headers]
        refusals = [
            failure(channel, metadata=pair) for pair in (headers, headers[::-1], headers[:1] * 2)
        ]

    assert {grpc.StatusCode.UNAUTHENTICATED} == {refusal.code for refusal in refusals}
    assert {"TOKEN_AMBIGUOUS"} == {refusal.info.reason for refusal in refusals}


def test_reflection_off(reader_url: str, tmp_path: Path) -> None:
    """USERSTREAM_REFLECTION=false: who does not have the proto does not get it here."""
    for setting, served in (("true", True), ("false", False)):
        with (
            serving(reader_url, tmp_path, REFLECTION=setting) as server,
            grpc.insecure_channel(server.target) as channel,
        ):
            if served:
                assert b"userstream.v1.UserService" in reflect(channel)[0]
                continue
            for service in (REFLECTION, REFLECTION.replace("v1alpha", "v1")):
                with pytest.raises(grpc.RpcError) as caught:
                    reflect(channel, service)
                assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
