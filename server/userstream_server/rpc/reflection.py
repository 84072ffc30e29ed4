"""Server reflection in both versions, for tools such as grpcurl, buf and Postman.

grpcio-reflection serves v1alpha only. The messages of v1 are the same on the wire, so its servicer
answers v1 too; what differs is the package's name in the descriptors.

Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from collections.abc import Iterable, Iterator

import grpc
from google.protobuf import descriptor_pb2, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from userstream.v1 import user_service_pb2 as pb

__all__ = ["REFLECTION_V1", "add_reflection_services"]

_ALPHA, _V1 = "grpc.reflection.v1alpha", "grpc.reflection.v1"
REFLECTION_V1 = f"{_V1}.ServerReflection"
_V1_FILE = "grpc/reflection/v1/reflection.proto"
_SERVED = (pb.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)


def add_reflection_services(server: grpc.Server, services: Iterable[str]) -> None:
    """Serve the descriptors.

    Args:
        server: The server.
        services: Full names of the services to list, without those of reflection itself.
    """
    names = (*services, reflection.SERVICE_NAME, REFLECTION_V1)
    servicer = reflection.ReflectionServicer(names, pool=_pool())
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": method}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(REFLECTION_V1, handlers)])


def _pool() -> DescriptorPool:
    """Return a pool of what is served alone: another package may bring the descriptors of v1 some day."""
    pool = DescriptorPool()
    files = {file.name: file for served in _SERVED for file in _with_imports(served)}
    for file in files.values():
        pool.AddSerializedFile(file.serialized_pb)
    pool.Add(_v1_file())
    return pool


def _with_imports(file: FileDescriptor) -> Iterator[FileDescriptor]:
    """Yield a file behind all that it imports."""
    for imported in file.dependencies:
        yield from _with_imports(imported)
    yield file


def _v1_file() -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptors of v1, which are those of v1alpha under another name."""
    alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    alpha.ClearField(
        "options"
    )  # they name packages of other languages, and call v1alpha deprecated
    text = text_format.MessageToString(alpha).replace(_ALPHA, _V1)
    v1 = text_format.Parse(text, descriptor_pb2.FileDescriptorProto())
    v1.name = _V1_FILE
    return v1
