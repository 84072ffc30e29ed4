"""Registers the services of a gRPC server: UserService, health and reflection."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb

from userstream_server.rpc.reflection import add_reflection_services
from userstream_server.rpc.requests import RequestReader
from userstream_server.rpc.service import UserService
from userstream_server.version import SERVICE_NAME

__all__ = ["add_health", "add_reflection", "add_user_service"]


def add_user_service(server: grpc.Server, service: UserService, reader: RequestReader) -> None:
    """Serve the methods of UserService; the reader reads their requests inside the call."""
    handlers = {
        method.name: _handler(method, getattr(service, method.name), reader)
        for method in pb.DESCRIPTOR.services_by_name["UserService"].methods
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE_NAME, handlers)])


def add_health(server: grpc.Server, servicer: health.HealthServicer) -> None:
    """Serve grpc.health.v1."""
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


def add_reflection(server: grpc.Server) -> None:
    """Serve the descriptors, for tools such as grpcurl."""
    add_reflection_services(server, (SERVICE_NAME, health.SERVICE_NAME))


def _handler(
    method: MethodDescriptor, behaviour: Callable[..., Any], reader: RequestReader
) -> "grpc.RpcMethodHandler[Any, Any]":
    """Return a method's handler, registered as if its requests were a stream."""
    kind = "stream_stream" if method.server_streaming else "stream_unary"
    request_type = GetMessageClass(method.input_type)
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(  # type: ignore[no-any-return]
        lambda requests, context: behaviour(reader.read(request_type, requests, context), context),
        response_serializer=_serialize,
    )


def _serialize(response: bytes | Message) -> bytes:
    if isinstance(response, bytes):
        # gRPC refuses subclasses of bytes.
        return response if type(response) is bytes else bytes(response)
    return response.SerializeToString()
