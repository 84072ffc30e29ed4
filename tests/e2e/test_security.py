"""Who may call, and how the answer changes while streams run."""

import ssl
from ipaddress import ip_address
from pathlib import Path
from signal import SIGHUP
from typing import Any

import grpc
import pytest
from cryptography import x509
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_testing.calls import RichError, rich_error, secure_channel, stub_for
from userstream_testing.certificates import Authority, KeyPair
from userstream_testing.server_process import ServerProcess, serving
from userstream_testing.waiting import until

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return a new authority."""
    return Authority(tmp_path)


def tls(authority: Authority, *, clients: bool = False) -> dict[str, object]:
    """Return the settings for a new certificate of the server's own."""
    pair = authority.issue("server")
    client_ca = {"TLS_CLIENT_CA": authority.ca} if clients else {}
    return {"TLS_CERT": pair.cert, "TLS_KEY": pair.key, **client_ca}


def hang_up(server: ServerProcess, event: str = "reloaded") -> None:
    """Send SIGHUP and wait until the server says that it has reloaded, or failed to."""
    before = len(server.events(event))
    server.process.send_signal(SIGHUP)
    until(lambda: len(server.events(event)) > before)


def user_count(channel: grpc.Channel, **options: Any) -> int:
    stub: Any = UserServiceStub(channel)
    return int(stub.AverageAge(pb.AverageAgeRequest(), timeout=10, **options).user_count)


def failure(channel: grpc.Channel, **options: Any) -> RichError:
    stub: Any = UserServiceStub(channel)
    return rich_error(stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=10, **options))


def reflect(channel: grpc.Channel) -> list[bytes]:
    """Ask for the list of services, as grpcurl does (field 7 of the request)."""
    method: Any = channel.stream_stream(f"/{REFLECTION}/ServerReflectionInfo")
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


def bearer(token: str) -> dict[str, Any]:
    return {"metadata": [("authorization", f"Bearer {token}")]}


def test_tokens_rotate(reader_url: str, tmp_path: Path) -> None:
    """Several tokens count at once; SIGHUP reads the file again, and a stream that runs is not touched."""
    tokens = tmp_path / "tokens"
    tokens.write_text("# rotation\nold-token\n\nnew-token\n")
    with (
        serving(reader_url, tmp_path, AUTH_TOKENS_FILE=tokens) as server,
        grpc.insecure_channel(server.target) as channel,
        stub_for(server.target) as stub,
    ):
        assert [60_000, 60_000] == [
            user_count(channel, **bearer(t)) for t in ("old-token", "new-token")
        ]
        running = stub.StreamUsers(pb.StreamUsersRequest(), **bearer("old-token"))
        next(running)
        tokens.write_text("new-token\nnewest-token\n")
        hang_up(server)
        refusal = failure(channel, **bearer("old-token"))
        assert user_count(channel, **bearer("newest-token")) == 60_000
        *_, last = running
        tokens.write_text("# nothing\n")
        hang_up(server, "reload_failed")
        assert user_count(channel, **bearer("new-token")) == 60_000
        nameless = [failure(channel), failure(channel, metadata=[("authorization", "new-token")])]

    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    assert refusal.info.reason == "TOKEN_REFUSED"
    assert {"TOKEN_REFUSED"} == {error.info.reason for error in nameless}
    assert last.receipt.user_count == 60_000


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


def test_every_worker_reloads(reader_url: str, tmp_path: Path) -> None:
    """SIGHUP to the process that supervises reaches every worker, also one that is just starting."""
    tokens = tmp_path / "tokens"
    tokens.write_text("first-token\n")
    settings = {"AUTH_TOKENS_FILE": tokens, "DRAIN_SECONDS": 1}
    with serving(reader_url, tmp_path, "--workers", "2", **settings) as server:
        tokens.write_text("second-token\n")
        server.process.send_signal(SIGHUP)  # the workers have not even begun to listen
        until(lambda: len(server.events("reloaded")) == 2)
        for _ in range(6):
            with grpc.insecure_channel(
                server.target, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                assert user_count(channel, **bearer("second-token")) == 60_000
                assert failure(channel, **bearer("first-token")).info.reason == "TOKEN_REFUSED"
        workers = {line["worker"] for line in server.events("reloaded")}
        assert server.events("worker_died") == []

    assert {0, 1} == workers


def serial_seen(server: ServerProcess, authority: Authority) -> int:
    """Return the number of the certificate that a new connection gets."""
    pem = ssl.get_server_certificate(("127.0.0.1", server.port), ca_certs=str(authority.ca))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def serial_of(pair: KeyPair) -> int:
    return x509.load_pem_x509_certificate(pair.cert.read_bytes()).serial_number


def test_certificates_rotate(reader_url: str, tmp_path: Path, authority: Authority) -> None:
    """New connections get the new certificate, without a signal; a stream over the old one goes on to its end."""
    pair = authority.issue("server")
    settings = {"TLS_CERT": pair.cert, "TLS_KEY": pair.key}
    with (
        serving(reader_url, tmp_path, **settings) as server,
        secure_channel(server.target, authority.ca) as channel,
    ):
        stub: Any = UserServiceStub(channel)
        before = serial_seen(server, authority)
        assert before == serial_of(pair)
        running = stub.StreamUsers(pb.StreamUsersRequest())
        next(running)
        for _ in range(3):
            after = serial_of(authority.issue("server"))  # the same files, written anew
            assert after == serial_seen(server, authority)
            assert after != before
        *_, last = running
        assert user_count(channel) == 60_000  # over the connection that was there before
        with secure_channel(server.target, authority.ca) as fresh:
            assert user_count(fresh) == 60_000

    assert last.receipt.user_count == 60_000


def test_client_authorities_rotate(reader_url: str, tmp_path: Path, authority: Authority) -> None:
    """Another authority in the file counts for new connections; who is connected stays, with streams and new calls."""
    successor = Authority(tmp_path, "successor")
    old, new = authority.issue("old"), successor.issue("new")
    with (
        serving(reader_url, tmp_path, **tls(authority, clients=True)) as server,
        secure_channel(server.target, authority.ca, old) as connected,
    ):
        stub: Any = UserServiceStub(connected)
        running = stub.StreamUsers(pb.StreamUsersRequest())
        next(running)
        ca, trusted = authority.ca.read_bytes(), tmp_path / "server-s-own-ca.pem"
        trusted.write_bytes(ca)
        authority.ca.write_bytes(successor.ca.read_bytes())
        with secure_channel(server.target, trusted, old) as refused:
            assert failure(refused).code is grpc.StatusCode.UNAVAILABLE
        with secure_channel(server.target, trusted, new) as admitted:
            assert user_count(admitted) == 60_000
        *_, last = running
        assert user_count(connected) == 60_000
        authority.ca.write_bytes(ca + successor.ca.read_bytes())
        for pair in (old, new):  # both, for the time of a rotation
            with secure_channel(server.target, trusted, pair) as either:
                assert user_count(either) == 60_000

    assert last.receipt.user_count == 60_000


def test_a_broken_rotation(reader_url: str, tmp_path: Path, authority: Authority) -> None:
    """Files that do not fit together leave the old certificate in use, and SIGHUP says so."""
    pair = authority.issue("server")
    old, key = serial_of(pair), pair.key.read_bytes()
    with serving(reader_url, tmp_path, TLS_CERT=pair.cert, TLS_KEY=pair.key) as server:
        new = serial_of(authority.issue("server"))
        new_key = pair.key.read_bytes()
        pair.key.write_bytes(key)
        assert old == serial_seen(server, authority)
        hang_up(server, "reload_failed")
        pair.key.unlink()
        assert old == serial_seen(server, authority)
        pair.key.write_bytes(new_key)
        assert new == serial_seen(server, authority)
        (failed,) = server.events("reload_failed")

    assert "do not fit together" in failed["message"]


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
            with pytest.raises(grpc.RpcError) as caught:
                reflect(channel)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
