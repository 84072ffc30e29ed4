"""The asyncio client's streams; `_streams` with awaits, over the same scans and decisions."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
import grpc.aio

from userstream_client._retry import QUIET, Attempts
from userstream_client._scans import UserScan, quiet_error
from userstream_client._streams import Scan
from userstream_client.errors import UserStreamError, error_from_call
from userstream_client.models import Checkpoint, Progress, Receipt, User

__all__ = ["AsyncBatchStream", "AsyncUserStream", "answer", "answers"]

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT")
Method = Callable[..., Any]


async def answers(
    scan: Scan[ItemT], method: Method, attempts: Attempts, quiet_seconds: float
) -> AsyncGenerator[ItemT, None]:
    """Yield what a scan makes of its messages, over as many attempts as it takes.

    Args:
        scan: What to ask for, and what to make of it.
        method: See `_streams.answers`.
        attempts: When to go on.
        quiet_seconds: The longest wait for a message.

    Raises:
        UserStreamError: The call failed for good, or what came is not what was promised.
    """
    failure: UserStreamError | None = None
    while not scan.done:
        afresh = failure is not None and failure.reason == QUIET
        call = method(scan.next_request(), timeout=attempts.remaining_seconds(), afresh=afresh)
        failure = None
        try:
            while (message := await _next(call, quiet_seconds)) is not grpc.aio.EOF:
                item = scan.take(message)
                attempts.progressed()
                yield item
            scan.end()
        except (grpc.RpcError, TimeoutError) as raised:
            failure = _error(raised, quiet_seconds)
        finally:
            call.cancel()
        if failure is None or scan.done:
            break
        await asyncio.sleep(attempts.wait_after(failure))
    scan.settle()


async def answer(request: object, method: Method, attempts: Attempts) -> Any:
    """Return the answer of a unary call, made as often as it takes.

    Raises:
        UserStreamError: The call failed for good.
    """
    while True:
        try:
            response = await method(request, timeout=attempts.remaining_seconds())
        except grpc.RpcError as raised:
            failure = error_from_call(raised)
        else:
            attempts.progressed()
            return response
        await asyncio.sleep(attempts.wait_after(failure))


async def _next(call: Any, quiet_seconds: float) -> Any:
    async with asyncio.timeout(quiet_seconds):
        return await call.read()


def _error(failure: grpc.RpcError | TimeoutError, quiet_seconds: float) -> UserStreamError:
    if isinstance(failure, grpc.RpcError):
        return error_from_call(failure)
    return quiet_error(quiet_seconds)


class _AsyncRowStream(AsyncIterator[RowT], Generic[RowT]):
    """What AsyncUserStream and AsyncBatchStream share; see `_streams._RowStream`."""

    def __init__(self, scan: UserScan, lists: AsyncGenerator[list[User], None]) -> None:
        """Take a scan and the generator that drives it."""
        self._scan = scan
        self._lists = lists
        self._rows: AsyncGenerator[RowT, None] = self._make_rows(scan, lists)

    @staticmethod
    def _make_rows(
        scan: UserScan, lists: AsyncGenerator[list[User], None]
    ) -> AsyncGenerator[Any, None]:
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[RowT]:  # noqa: PYI034
        return self._rows

    async def __anext__(self) -> RowT:
        return await anext(self._rows)

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
        """End the call; users not taken yet are lost. Does no harm when it has ended."""
        await self._rows.aclose()
        await self._lists.aclose()

    @property
    def progress(self) -> Progress | None:
        """How far the scan is, after the last message; None before the first."""
        return self._scan.verifier.progress

    @property
    def receipt(self) -> Receipt | None:
        """The verified receipt, once the stream is read to its end."""
        return self._scan.verifier.receipt

    @property
    def checkpoint(self) -> Checkpoint:
        """Where to go on; see `UserStream.checkpoint`."""
        return self._scan.handed_out

    @property
    def resume_token(self) -> str:
        """The bare token of `checkpoint`."""
        return self._scan.handed_out.resume_token


class AsyncBatchStream(_AsyncRowStream[list[User]]):
    """Lists of users as they came, one a message; iterate over it once."""

    @staticmethod
    def _make_rows(
        scan: UserScan, lists: AsyncGenerator[list[User], None]
    ) -> AsyncGenerator[list[User], None]:
        return _batches(scan, lists)


class AsyncUserStream(_AsyncRowStream[User]):
    """Users one by one; iterate over it once. `chunks()` is twice as fast."""

    @staticmethod
    def _make_rows(
        scan: UserScan, lists: AsyncGenerator[list[User], None]
    ) -> AsyncGenerator[User, None]:
        return _users(scan, lists)

    def chunks(self) -> AsyncBatchStream:
        """Return the same stream as lists, one a message: for work on many users at once."""
        return AsyncBatchStream(self._scan, self._lists)


async def _batches(
    scan: UserScan, lists: AsyncGenerator[list[User], None]
) -> AsyncGenerator[list[User], None]:
    async with aclosing(lists):
        async for users in lists:
            scan.handed_out = scan.verifier.checkpoint
            if users:
                yield users
        scan.handed_out = scan.verifier.checkpoint


async def _users(
    scan: UserScan, lists: AsyncGenerator[list[User], None]
) -> AsyncGenerator[User, None]:
    async with aclosing(lists):
        async for users in lists:
            checkpoint = scan.verifier.checkpoint
            for user in users:
                yield user
            scan.handed_out = checkpoint
        scan.handed_out = scan.verifier.checkpoint
