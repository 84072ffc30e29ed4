"""What every call of a client needs: its connection, its channels and its attempts. No I/O of its own."""

import threading
from abc import ABC, abstractmethod
from typing import Any, TypeVar

import grpc

from userstream_client import _messages as messages
from userstream_client._calls import Attempt, Scan, StreamCall
from userstream_client._retry import DEFAULT_RESUME, Attempts, ResumePolicy
from userstream_client.errors import CallCancelledError
from userstream_client.models import TlsOptions

__all__ = ["ClientBase"]

ItemT = TypeVar("ItemT")


class ClientBase(ABC):
    """A client without its calls."""

    def __init__(
        self,
        target: str | None = None,
        *,
        tls: TlsOptions | None = None,
        token: str | None = None,
        timeout_seconds: float | None = None,
        attempt_timeout_seconds: float | None = None,
        resume: ResumePolicy | None = DEFAULT_RESUME,
        profile: str | None = None,
        compression: str | None = None,
    ) -> None:
        """Prepare the channel; it connects at the first call.

        An argument that is None is taken from the profile, then from the USERSTREAM_ settings (environment, `.env`).

        Args:
            target: host:port; several with commas between, which take calls in turn as long as they are
                SERVING; or a gRPC target such as dns:///name:port.
            tls: How to verify the server. The settings' default is plaintext.
            token: Bearer token; empty for none.
            timeout_seconds: The limit of each whole call, resumes included.
            attempt_timeout_seconds: The longest wait for a stream's next message.
            resume: How to retry and resume after failures; None never does.
            profile: A table [profile.NAME] of `~/.config/userstream/config.toml`.
            compression: `none`, or `gzip` to have the server compress what it sends. That takes less than
                half the bytes and many times the server's CPU time, so it pays on slow links only.

        Raises:
            SettingsError: A setting or an argument is wrong, or a file cannot be read.
        """
        # Late, because it imports pydantic-settings, which takes longer than gRPC.
        from userstream_client._channel import connection_from  # noqa: PLC0415

        self._connection = connection_from(
            target,
            tls=tls,
            token=token,
            timeout_seconds=timeout_seconds,
            attempt_timeout_seconds=attempt_timeout_seconds,
            resume=resume,
            profile=profile,
            compression=compression,
        )
        # Shared by all calls: what one learns about the target holds for the others.
        self._target_answered = threading.Event()
        self._closed = False
        self._channels: list[Any] = []
        self._connect()

    @abstractmethod
    def _open_channel(self, *, balanced: bool = True) -> Any:
        """Open a channel; it connects at the first call."""

    def _stream_call(self, scan: Scan[ItemT]) -> StreamCall[ItemT]:
        return StreamCall(scan, self._attempts())

    def _attempts(self) -> Attempts:
        policy, limit_seconds = self._connection.resume, self._connection.timeout_seconds
        return Attempts(policy, limit_seconds, answered=self._target_answered)

    def _start(self, attempt: Attempt) -> Any:
        """Hand an attempt to gRPC; return the call, or what gRPC returns for a unary one.

        Responses stay bytes: this package decodes them itself, with `native_users.c` where it can.
        """
        # A stream may get here long after its client was closed: after the wait before an attempt.
        if self._closed:
            raise CallCancelledError("the client is closed", code=grpc.StatusCode.CANCELLED)
        if attempt.reconnect:
            self._connect()
        channel = self._channels[-1]
        method_of = channel.unary_stream if attempt.streaming else channel.unary_unary
        method = method_of(
            f"/{messages.SERVICE_NAME}/{attempt.method}", request_serializer=_serialize
        )
        return method(
            attempt.request, timeout=attempt.timeout_seconds, metadata=self._connection.metadata
        )

    def _connect(self) -> None:
        """Use a new channel from now on; running calls stay on theirs."""
        self._channels.append(self._open_channel())


def _serialize(request: Any) -> bytes:
    data: bytes = request.SerializeToString()
    return data
