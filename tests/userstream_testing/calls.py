"""Calling the service with the generated stubs alone: no code of our client."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from userstream.v1.user_service_pb2_grpc import UserServiceStub

from userstream_testing.certificates import KeyPair

__all__ = ["RichError", "rich_error", "secure_channel", "stub_for"]

OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # Otherwise a client that takes nothing still has 4 MB and more of buffers, which on some days are a whole stream.
    ("grpc.http2.bdp_probe", 0),
]
# Channels to one target share a connection otherwise.
_OWN = [("grpc.use_local_subchannel_pool", 1)]


@contextmanager
def stub_for(target: str, *, own: bool = False) -> Iterator[Any]:
    """Yield a stub for a server, its channel closed afterwards; with a connection of its own on demand."""
    options = [*OPTIONS, *(_OWN if own else ())]
    with grpc.insecure_channel(target, options=options) as channel:
        yield UserServiceStub(channel)


def secure_channel(target: str, ca: Path, client: KeyPair | None = None) -> grpc.Channel:
    """Return a channel over TLS, with a client's certificate if there is one."""
    key, cert = (client.key.read_bytes(), client.cert.read_bytes()) if client else (None, None)
    return grpc.secure_channel(
        target, grpc.ssl_channel_credentials(ca.read_bytes(), key, cert), options=[*OPTIONS, *_OWN]
    )


class RichError:
    """A failed call's status with its details.

    Attributes:
        code: The status code.
        message: Its text.
        info: ErrorInfo.
        fields: The fields that BadRequest names.
        retry_seconds: RetryInfo's delay; None without one.
    """

    def __init__(self, error: grpc.RpcError) -> None:
        """Take the details apart."""
        self.code = error.code()
        self.message = error.details() or ""
        self.info = error_details_pb2.ErrorInfo()
        self.fields: list[str] = []
        self.retry_seconds: float | None = None
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            if detail.Is(self.info.DESCRIPTOR):
                detail.Unpack(self.info)
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                self.fields = [violation.field for violation in bad.field_violations]
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                retry = error_details_pb2.RetryInfo()
                detail.Unpack(retry)
                self.retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()


def rich_error(call: Any) -> RichError:
    """Run a call that must fail to its end; return its error."""
    try:
        list(call()) if callable(call) else list(call)
    except grpc.RpcError as error:
        return RichError(error)
    raise AssertionError("the call did not fail")
