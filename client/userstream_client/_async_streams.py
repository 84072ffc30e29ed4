"""The I/O of the asyncio client: making attempts one after another, and iterating over what they bring."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sized
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from userstream_client._calls import Attempt, StreamCall, UnaryCall
from userstream_client._retry import attempt_timeout_error
from userstream_client._scans import ScanProperties, UserScan
from userstream_client.errors import UserStreamError, error_from_call
from userstream_client.models import User

__all__ = ["AsyncBatchStream", "AsyncUserStream", "stream_items", "unary_result"]

ItemT = TypeVar("ItemT")
SizedT = TypeVar("SizedT", bound=Sized)
Start = Callable[[Attempt], Any]


async def stream_items(
    call: StreamCall[ItemT], start: Start, attempt_timeout_seconds: float
) -> AsyncGenerator[ItemT, None]:
    """Yield what each message of a streaming call holds, over as many attempts as it takes.

    Args:
        call: What to send, and when to retry.
        start: Starts an attempt.
        attempt_timeout_seconds: The longest wait for a message.

    Raises:
        UserStreamError: The call failed and will not be retried, or its messages are wrong.
    """
    while not call.done:
        rpc = start(call.next_attempt())
        failure: UserStreamError | None = None
        try:
            while (message := await _next(rpc, attempt_timeout_seconds)) is not grpc.aio.EOF:
                yield call.receive(message)
            call.end()
        except (grpc.RpcError, TimeoutError) as raised:
            failure = _error(raised, attempt_timeout_seconds)
        finally:
            # Also when the caller leaves, or a message is refused.
            rpc.cancel()
        if failure is not None:
            await asyncio.sleep(call.seconds_before_retry(failure))
    call.finish()


async def unary_result(call: UnaryCall[ItemT], start: Start) -> ItemT:
    """Return the result of a unary call, over as many attempts as it takes.

    Raises:
        UserStreamError: The call failed and will not be retried.
    """
    while True:
        try:
            response = await start(call.next_attempt())
        except grpc.RpcError as raised:
            failure = error_from_call(raised)
        else:
            return call.receive(response)
        await asyncio.sleep(call.seconds_before_retry(failure))


async def _next(rpc: Any, attempt_timeout_seconds: float) -> Any:
    async with asyncio.timeout(attempt_timeout_seconds):
        return await rpc.read()


def _error(
    failure: grpc.RpcError | TimeoutError, attempt_timeout_seconds: float
) -> UserStreamError:
    if isinstance(failure, grpc.RpcError):
        return error_from_call(failure)
    return attempt_timeout_error(attempt_timeout_seconds)


class _AsyncStream(ScanProperties, AsyncIterator[ItemT]):
    """What AsyncUserStream and AsyncBatchStream share.

    Args:
        scan: The scan, for the properties.
        messages: Each message's users.
        items: What to iterate over.
    """

    def __init__(
        self,
        scan: UserScan,
        messages: AsyncGenerator[list[User], None],
        items: AsyncGenerator[ItemT, None],
    ) -> None:
        super().__init__(scan)
        self._messages = messages
        self._items = items

    def __aiter__(self) -> AsyncIterator[ItemT]:  # noqa: PYI034
        return self._items

    async def __anext__(self) -> ItemT:
        return await anext(self._items)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the call and drop the users not taken yet; a second `aclose` does nothing."""
        await self._items.aclose()
        await self._messages.aclose()

    def record_batches(self) -> AsyncGenerator[Any, None]:
        """Return the users not taken yet as Arrow record batches, one for each message.

        Verification and `checkpoint` are those of the stream; no Python object is made for a user.

        Yields:
            `pyarrow.RecordBatch` with user_id, name and email (string) and age (int64); of a stream with
            `fields`, only those columns.

        Raises:
            ImportError: pyarrow is not installed.
            UserStreamError: The call failed and will not be retried.
        """
        from userstream_client.arrow import decoder_of  # noqa: PLC0415 - pyarrow is an extra

        self._scan.decode_with(decoder_of(self._scan.columns))
        return _batches(self._scan, self._messages)

    async def to_arrow(self) -> Any:
        """Read to the end and return a `pyarrow.Table`, which holds all users in memory."""
        batches = [batch async for batch in self.record_batches()]
        from userstream_client.arrow import reader_of  # noqa: PLC0415

        return reader_of(batches, self._scan.columns).read_all()

    async def to_pandas(self) -> Any:
        """Read to the end and return a `pandas.DataFrame`; needs pandas."""
        return (await self.to_arrow()).to_pandas()

    async def to_polars(self) -> Any:
        """Read to the end and return a `polars.DataFrame`; needs polars."""
        import polars  # noqa: ICN001, PLC0415 - the caller's, not a dependency

        return polars.from_arrow(await self.to_arrow())


class AsyncBatchStream(_AsyncStream[list[User]]):
    """Lists of users, one for each message; iterate over it once.

    Its `checkpoint` resumes right after the last list taken.
    """

    def __init__(self, scan: UserScan, messages: AsyncGenerator[list[User], None]) -> None:
        super().__init__(scan, messages, _batches(scan, messages))


class AsyncUserStream(_AsyncStream[User]):
    """Users one by one; iterate over it once. `chunks()` is twice as fast."""

    def __init__(self, scan: UserScan, messages: AsyncGenerator[list[User], None]) -> None:
        super().__init__(scan, messages, _users(scan, messages))

    def chunks(self) -> AsyncBatchStream:
        """Return the same stream as lists, one for each message: for work on many users at once."""
        return AsyncBatchStream(self._scan, self._messages)


async def _batches(
    scan: UserScan, messages: AsyncGenerator[SizedT, None]
) -> AsyncGenerator[SizedT, None]:
    async with aclosing(messages):
        async for users in messages:
            scan.delivered = scan.verifier.checkpoint
            if len(users):
                yield users
        scan.delivered = scan.verifier.checkpoint


async def _users(
    scan: UserScan, messages: AsyncGenerator[list[User], None]
) -> AsyncGenerator[User, None]:
    async with aclosing(messages):
        async for users in messages:
            checkpoint = scan.verifier.checkpoint
            for user in users:
                yield user
            scan.delivered = checkpoint
        scan.delivered = scan.verifier.checkpoint
