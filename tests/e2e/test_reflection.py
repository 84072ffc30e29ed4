"""Reflection in both versions: the services, every descriptor with its imports, and who may ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as rpb
from userstream_testing.calls import RichError, secure_channel
from userstream_testing.certificates import Authority
from userstream_testing.server_process import ServerProcess, serving
from userstream_testing.sign_in import hang_up, tls

VERSIONS = ("v1", "v1alpha")
SERVICES = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "userstream.v1.UserService",
]


@pytest.fixture
def channel(shared_server: ServerProcess) -> Iterator[grpc.Channel]:
    """Yield a channel."""
    with grpc.insecure_channel(shared_server.target) as opened:
        yield opened


def ask(channel: grpc.Channel, version: str, **question: Any) -> Any:
    """Ask one question; the messages of both versions are the same on the wire."""
    method: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=rpb.ServerReflectionRequest.SerializeToString,
        response_deserializer=rpb.ServerReflectionResponse.FromString,
    )
    (answer,) = method(iter([rpb.ServerReflectionRequest(**question)]), timeout=10)
    return answer


def files(answer: Any) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    parsed = map(
        descriptor_pb2.FileDescriptorProto.FromString,
        answer.file_descriptor_response.file_descriptor_proto,
    )
    return {file.name: file for file in parsed}


@pytest.mark.parametrize("version", VERSIONS)
def test_services(channel: grpc.Channel, version: str) -> None:
    """All of them, both versions of reflection included."""
    answer = ask(channel, version, list_services="")

    assert SERVICES == [service.name for service in answer.list_services_response.service]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_described(channel: grpc.Channel, version: str, service: str) -> None:
    """Each listed service has its file, with all that it imports."""
    found = files(ask(channel, version, file_containing_symbol=service))
    package, _, name = service.rpartition(".")
    imported = {path for file in found.values() for path in file.dependency}

    assert [package] == [f.package for f in found.values() if name in [s.name for s in f.service]]
    assert imported <= found.keys()


def test_v1_is_named_v1_throughout(channel: grpc.Channel) -> None:
    """No message of v1 refers to v1alpha, and it has the file's usual name."""
    (file,) = files(ask(channel, "v1", file_containing_symbol=SERVICES[1])).values()

    assert "grpc/reflection/v1/reflection.proto" == file.name
    assert b"v1alpha" not in file.SerializeToString()
    assert ".grpc.reflection.v1.ServerReflectionRequest" == file.service[0].method[0].input_type


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_there(channel: grpc.Channel, version: str) -> None:
    """NOT_FOUND, within the answer."""
    answer = ask(channel, version, file_containing_symbol="made.Up")

    assert grpc.StatusCode.NOT_FOUND.value[0] == answer.error_response.error_code


@pytest.mark.parametrize("listed", VERSIONS)
def test_names_in_certificates(
    reader_url: str, tmp_path: Path, authority: Authority, listed: str
) -> None:
    """An entry for one version of reflection counts for both: they tell the same."""
    (tmp_path / ".env").write_text(
        f"USERSTREAM_TLS_CLIENT_NAMES=grpc.reflection.{listed}.ServerReflection=a.example\n"
    )
    seen = {}
    with serving(reader_url, tmp_path, **tls(authority, clients=True)) as server:
        hang_up(server)
        for host in ("a.example", "b.example"):
            pair = authority.issue("x", host=host, address="")
            with secure_channel(server.target, authority.ca, pair) as channel:
                seen[host] = [reason(channel, version) for version in VERSIONS]

    assert {"a.example": ["", ""], "b.example": ["CLIENT_NAME_REFUSED"] * 2} == seen


def reason(channel: grpc.Channel, version: str) -> str:
    try:
        ask(channel, version, list_services="")
    except grpc.RpcError as error:
        return str(RichError(error).info.reason)
    return ""
