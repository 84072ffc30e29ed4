"""Calls that continue after a break, verified. Plain stubs of grpcio; nothing of the Python client is used."""

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from call_again import Attempts, CallError, error_of
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from verify import IntegrityError, Verifier

OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
]


class Client:
    """Reads users from USERSTREAM_TARGET, with USERSTREAM_TLS_CA where it is set.

    Args:
        metadata: Sent with every call.
        timeout_seconds: The limit of each whole call; None for none.
        message_timeout_seconds: The longest wait for a message.
        backoff_seconds_max: The longest wait between attempts.
        channel: One that others use, too, which `close` leaves open; None for one of its own.
    """

    def __init__(
        self,
        metadata: Sequence[tuple[str, str]] = (),
        *,
        timeout_seconds: float | None = None,
        message_timeout_seconds: float = 60.0,
        backoff_seconds_max: float = 5.0,
        channel: grpc.Channel | None = None,
    ) -> None:
        self._cancelled = threading.Event()
        self._limits = (timeout_seconds, backoff_seconds_max, self._cancelled)
        self._message_timeout_seconds = message_timeout_seconds
        self._metadata = metadata
        self._channel = channel or connect()
        self._owned = [] if channel else [self._channel]
        self._call: Any = None

    def cancel(self) -> None:
        """End the running call from another thread; no further one begins."""
        self._cancelled.set()
        if self._call:
            self._call.cancel()

    def close(self) -> None:
        """End all calls and the connection."""
        for channel in self._owned:
            channel.close()

    def users(self, method: str, request: Any, verifier: Verifier) -> Generator[Any]:
        """Yield the users of each message of StreamUsers or BatchUsers, resumed until all have come."""

        def begin() -> None:
            verifier.begin_attempt(request.resume_token)

        for message in self._messages(method, request, begin, lambda: verifier.complete):
            verifier.add(message)
            request.resume_token = message.resume_token or request.resume_token
            if message.HasField("receipt"):
                verifier.close(message.receipt)
            yield message.users
        if not verifier.complete:
            verifier.end()

    def pages(self, request: pb.PaginateRequest, verifier: Verifier) -> Generator[Any]:
        """Yield pages; the next one is read from the database when it is asked for."""
        request.page_limit = 1
        while True:
            pages = list(self._messages("Paginate", request))
            if len(pages) != 1:
                raise IntegrityError("the answer is not one page")
            verifier.add(pages[0])
            yield pages[0].users
            request.page_token, request.offset = pages[0].next_page_token, 0
            if not request.page_token:
                return

    def running_average(self, request: pb.StreamAverageAgeRequest) -> Generator[Any]:
        """Yield figures about once a second; the last ones are final and exact."""
        final = threading.Event()
        for figures in self._messages("StreamAverageAge", request, done=final.is_set):
            request.resume_token = figures.resume_token
            if figures.final:
                final.set()
            yield figures
        if not final.is_set():
            raise IntegrityError("the final figures never came")

    def average(self, request: pb.AverageAgeRequest) -> Any:
        """Return the exact average."""
        attempts = Attempts(*self._limits)
        while True:
            timeout = attempts.remaining_seconds()
            call = self._stub().AverageAge.future(request, timeout=timeout, metadata=self._metadata)
            self._call = call
            try:
                return call.result()
            except grpc.RpcError as error:
                failure = error_of(error)
            attempts.wait_after(failure)

    def _messages(
        self,
        method: str,
        request: Any,
        begin: Any = lambda: None,
        done: Any = lambda: False,
    ) -> Generator[Any]:
        """Yield the messages of a stream, over as many attempts as it takes."""
        attempts = Attempts(*self._limits)
        while not done():
            begin()
            call = self._call = getattr(self._stub(), method)(
                request, timeout=attempts.remaining_seconds(), metadata=self._metadata
            )
            if self._cancelled.is_set():  # It may have come while the call began.
                call.cancel()
            try:
                for message in self._received(call):
                    attempts.progressed()
                    yield message
            except CallError as failure:
                if not done():
                    attempts.wait_after(failure)
            else:
                return
            finally:
                call.cancel()  # Also when the caller leaves: this ends the call at the server.

    def _received(self, call: Any) -> Generator[Any]:
        silent = threading.Event()
        try:
            while True:
                with self._watched(call, silent):
                    message = next(call, None)
                if message is None:
                    return
                yield message
        except grpc.RpcError as error:
            failure = error_of(error)
        if silent.is_set():
            failure = CallError("DEADLINE_EXCEEDED", "no message came for too long")
            self._channel = connect()  # gRPC may take the silent connection for a live one.
            self._owned.append(self._channel)
        raise failure

    @contextmanager
    def _watched(self, call: Any, silent: threading.Event) -> Iterator[None]:
        """End the call if the block, which waits for a message, takes too long."""

        def end() -> None:
            silent.set()
            call.cancel()

        timer = threading.Timer(self._message_timeout_seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _stub(self) -> Any:
        return UserServiceStub(self._channel)


def connect() -> grpc.Channel:
    """Open a channel; it connects at the first call."""
    target = os.environ.get("USERSTREAM_TARGET", "127.0.0.1:50051")
    authority = os.environ.get("USERSTREAM_TLS_CA")
    if not authority:
        return grpc.insecure_channel(target, OPTIONS)
    credentials = grpc.ssl_channel_credentials(Path(authority).read_bytes())
    return grpc.secure_channel(target, credentials, OPTIONS)
