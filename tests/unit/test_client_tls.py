"""TLS, mutual TLS and several servers, between real sockets."""

from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from userstream_client import (
    ResumePolicy,
    TlsOptions,
    UnavailableError,
    UserStreamClient,
    UserStreamError,
)
from userstream_testing.certificates import Authority, KeyPair
from userstream_testing.client_runs import KINDS, read_users
from userstream_testing.scripted_server import ScriptedServer, made_users, scan_script

USERS = made_users(3)
NAME = "userstream.v1.UserService"


def credentials(pair: KeyPair, *, client_ca: Path | None = None) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.cert.read_bytes())],
        root_certificates=client_ca.read_bytes() if client_ca else None,
        require_client_auth=client_ca is not None,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_tls(kind: str, authority: Authority) -> None:
    """The server is verified, and the token travels."""
    server_credentials = credentials(authority.issue("server"))
    with ScriptedServer(scan_script(USERS), credentials=server_credentials) as server:
        seen = read_users(kind, server.target, tls=TlsOptions(ca=authority.ca), token="t0ken")

    assert (3, None) == (len(seen.users), seen.error)
    assert "Bearer t0ken" == server.calls[0].metadata["authorization"]


def test_a_server_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    """No call reaches a server that nobody vouches for."""
    other = Authority(tmp_path, "another")
    with ScriptedServer(credentials=credentials(other.issue("server"))) as server:
        seen = read_users("sync", server.target, tls=TlsOptions(ca=authority.ca), resume=None)

    assert isinstance(seen.error, UnavailableError)
    assert [] == server.calls


def test_a_server_of_another_name_is_refused_unless_told(authority: Authority) -> None:
    """The certificate must be for the target, or for the name that is given."""
    pair = authority.issue("server", host="users.example", address="192.0.2.1")
    with ScriptedServer(scan_script(USERS), credentials=credentials(pair)) as server:
        refused = read_users("sync", server.target, tls=TlsOptions(ca=authority.ca), resume=None)
        named = TlsOptions(ca=authority.ca, server_name="users.example")
        seen = read_users("sync", server.target, tls=named)

    assert isinstance(refused.error, UnavailableError)
    assert (3, None) == (len(seen.users), seen.error)


def test_mutual_tls(authority: Authority) -> None:
    """A server that wants a certificate gets one, and refuses whoever has none."""
    pair = authority.issue("client")
    wanting = credentials(authority.issue("server"), client_ca=authority.ca)
    with ScriptedServer(scan_script(USERS), credentials=wanting) as server:
        without = read_users("sync", server.target, tls=TlsOptions(ca=authority.ca), resume=None)
        shown = TlsOptions(ca=authority.ca, client_cert=pair.cert, client_key=pair.key)
        seen = read_users("sync", server.target, tls=shown)

    assert isinstance(without.error, UserStreamError)
    assert (3, None, 1) == (len(seen.users), seen.error, len(server.calls))


def test_calls_go_round_the_servers_that_are_serving() -> None:
    """Of two servers the one that is NOT_SERVING gets no call; once it is SERVING both get some."""
    servicers = (health.HealthServicer(), health.HealthServicer())
    scripts = [scan_script(USERS) for _ in range(40)]
    with ScriptedServer(*scripts) as first, ScriptedServer(*scripts) as second:
        for servicer, server in zip(servicers, (first, second), strict=True):
            servicer.set(NAME, health_pb2.HealthCheckResponse.SERVING)
            health_pb2_grpc.add_HealthServicer_to_server(servicer, server.server)
        servicers[0].set(NAME, health_pb2.HealthCheckResponse.NOT_SERVING)
        target = f"{first.target},{second.target}"
        with UserStreamClient(target, resume=ResumePolicy(initial_backoff_seconds=0.01)) as client:
            for _ in range(4):
                list(client.stream_users())
            counts = (len(first.calls), len(second.calls))
            servicers[0].set(NAME, health_pb2.HealthCheckResponse.SERVING)
            for _ in range(30):
                if first.calls:
                    break
                list(client.stream_users())

    assert (0, 4) == counts
    assert first.calls
