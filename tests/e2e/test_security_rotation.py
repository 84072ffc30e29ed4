"""Tokens, certificates and authorities that change while the server runs."""

import ssl
from pathlib import Path
from signal import SIGHUP
from typing import Any

import grpc
from cryptography import x509
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_testing.calls import secure_channel, stub_for
from userstream_testing.certificates import Authority, KeyPair
from userstream_testing.server_process import ServerProcess, serving
from userstream_testing.sign_in import bearer, failure, hang_up, tls, user_count
from userstream_testing.waiting import until


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
