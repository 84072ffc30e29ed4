"""One call over all its attempts: what to send next, and whether to retry. No I/O here."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from userstream_client._decoding import parse
from userstream_client._retry import ATTEMPT_TIMEOUT, Attempts
from userstream_client.errors import UserStreamError

__all__ = ["Attempt", "Scan", "StreamCall", "UnaryCall"]

ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)


class Attempt(NamedTuple):
    """One attempt, ready to be started.

    Attributes:
        method: The RPC.
        request: Its request.
        timeout_seconds: What is left of the whole call's limit; None without one.
        streaming: Whether messages come one by one.
        reconnect: Whether to use a new connection.
    """

    method: str
    request: Any
    timeout_seconds: float | None
    streaming: bool = True
    reconnect: bool = False


class Scan(Protocol[ItemT_co]):
    """The state of a streaming call: its requests, and what its messages mean."""

    method: str

    @property
    def done(self) -> bool: ...
    def next_request(self) -> Any: ...
    def receive(self, data: bytes) -> ItemT_co: ...
    def end(self) -> None: ...
    def finish(self) -> None: ...


class StreamCall(Generic[ItemT]):
    """A streaming call, resumed until its scan is done.

    Args:
        scan: What to send, and what to make of the messages.
        attempts: Whether and when to retry.
    """

    def __init__(self, scan: Scan[ItemT], attempts: Attempts) -> None:
        self._scan = scan
        self._attempts = attempts
        self._reconnect = False

    @property
    def done(self) -> bool:
        """Whether no further attempt is needed."""
        return self._scan.done

    def next_attempt(self) -> Attempt:
        """Return the first attempt, or the next one after a failure."""
        remaining = self._attempts.remaining_seconds()
        return Attempt(
            self._scan.method, self._scan.next_request(), remaining, reconnect=self._reconnect
        )

    def receive(self, data: bytes) -> ItemT:
        """Return what a message holds, once it is verified.

        Args:
            data: The message's bytes.

        Raises:
            DataIntegrityError: The message is not what the server promises.
        """
        item = self._scan.receive(data)
        self._attempts.progressed()
        return item

    def end(self) -> None:
        """Note that the attempt ended OK.

        Raises:
            IncompleteStreamError: Its last message never came.
        """
        self._scan.end()

    def seconds_before_retry(self, failure: UserStreamError) -> float:
        """Return how long to wait after a failed attempt; 0 when the scan is done anyway.

        Raises:
            UserStreamError: There must be no further attempt.
        """
        if self._scan.done:
            return 0.0
        # gRPC may take a connection that went silent for a live one, and use it again.
        self._reconnect = failure.reason == ATTEMPT_TIMEOUT
        return self._attempts.wait_after(failure)

    def finish(self) -> None:
        """Note that the call is over."""
        self._scan.finish()


class UnaryCall(Generic[ItemT]):
    """A call with one response, retried until it comes.

    Args:
        method: The RPC.
        request: Its request.
        convert: Makes the caller's object of the response.
        attempts: Whether and when to retry.
    """

    def __init__(
        self, method: str, request: Any, convert: Callable[[Any], ItemT], attempts: Attempts
    ) -> None:
        self._method = method
        self._request = request
        self._convert = convert
        self._attempts = attempts

    def next_attempt(self) -> Attempt:
        """Return the first attempt, or the next one after a failure."""
        remaining = self._attempts.remaining_seconds()
        return Attempt(self._method, self._request, remaining, streaming=False)

    def receive(self, data: bytes) -> ItemT:
        """Return what the response holds.

        Raises:
            DataIntegrityError: The bytes are no such response.
        """
        response = parse(data, self._method)
        self._attempts.progressed()
        return self._convert(response)

    def seconds_before_retry(self, failure: UserStreamError) -> float:
        """Return how long to wait after a failed attempt.

        Raises:
            UserStreamError: There must be no further attempt.
        """
        return self._attempts.wait_after(failure)
