"""The I/O of the sync client: making attempts one after another, and iterating over what they bring."""

import time
from collections.abc import Callable, Generator, Iterator, Sized
from contextlib import closing
from itertools import chain
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from userstream_client._calls import Attempt, StreamCall, UnaryCall
from userstream_client._interrupts import interrupt_behind
from userstream_client._retry import attempt_timeout_error
from userstream_client._scans import ScanProperties, UserScan
from userstream_client._watchdog import Watch, Watchdog
from userstream_client.errors import UserStreamError, error_from_call
from userstream_client.models import User

__all__ = ["BatchStream", "UserStream", "stream_items", "unary_result"]

ItemT = TypeVar("ItemT")
SizedT = TypeVar("SizedT", bound=Sized)
Start = Callable[[Attempt], Any]


def stream_items(
    call: StreamCall[ItemT], start: Start, watchdog: Watchdog
) -> Generator[ItemT, None, None]:
    """Yield what each message of a streaming call holds, over as many attempts as it takes.

    Args:
        call: What to send, and when to retry.
        start: Starts an attempt.
        watchdog: Ends attempts that bring no message for too long.

    Raises:
        UserStreamError: The call failed and will not be retried, or its messages are wrong.
    """
    while not call.done:
        rpc = start(call.next_attempt())
        failure: UserStreamError | None = None
        try:
            with watchdog.watching(rpc) as watch:
                for message in _messages(rpc, watch):
                    yield call.receive(message)
            call.end()
        except grpc.RpcError as raised:
            failure = _error(raised, watch, watchdog)
        finally:
            # Also when the caller leaves, or a message is refused.
            rpc.cancel()
        if failure is not None:
            time.sleep(call.seconds_before_retry(failure))
    call.finish()


def unary_result(call: UnaryCall[ItemT], start: Start) -> ItemT:
    """Return the result of a unary call, over as many attempts as it takes.

    Raises:
        UserStreamError: The call failed and will not be retried.
    """
    while True:
        try:
            response = start(call.next_attempt())
        except grpc.RpcError as raised:
            failure = error_from_call(raised)
        except RuntimeError as error:
            raise interrupt_behind(error) from None
        else:
            return call.receive(response)
        time.sleep(call.seconds_before_retry(failure))


def _messages(rpc: Any, watch: Watch) -> Iterator[Any]:
    while True:
        watch.waiting_since = time.monotonic()
        try:
            message = next(rpc)
        except StopIteration:
            return
        except RuntimeError as error:
            raise interrupt_behind(error) from None
        finally:
            watch.waiting_since = None
        yield message


def _error(failure: grpc.RpcError, watch: Watch, watchdog: Watchdog) -> UserStreamError:
    if watch.fired:
        return attempt_timeout_error(watchdog.limit_seconds)
    return error_from_call(failure)


class _Stream(ScanProperties, Iterator[ItemT]):
    """What UserStream and BatchStream share.

    Args:
        scan: The scan, for the properties.
        messages: Each message's users. Neither it nor `items` refers to this object: dropping the
            object, or leaving a loop over it, drops them too, and that ends the call.
        items: What to iterate over.
    """

    def __init__(
        self,
        scan: UserScan,
        messages: Generator[list[User], None, None],
        items: Iterator[ItemT],
    ) -> None:
        super().__init__(scan)
        self._messages = messages
        self._items = items

    def __iter__(self) -> Iterator[ItemT]:  # noqa: PYI034
        # The inner iterator, so that a loop over millions of users runs no Python code for each.
        return self._items

    def __next__(self) -> ItemT:
        return next(self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the call and drop the users not taken yet; a second `close` does nothing."""
        self._messages.close()

    def record_batches(self) -> Generator[Any, None, None]:
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

    def to_arrow(self) -> Any:
        """Read to the end and return a `pyarrow.Table`, which holds all users in memory."""
        return self._reader().read_all()

    def to_pandas(self) -> Any:
        """Read to the end and return a `pandas.DataFrame`; needs pandas."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """Read to the end and return a `polars.DataFrame`; needs polars."""
        import polars  # noqa: ICN001, PLC0415 - the caller's, not a dependency

        return polars.from_arrow(self.to_arrow())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Hand the stream to any library that speaks Arrow's PyCapsule interface, such as DuckDB or polars."""
        return self._reader().__arrow_c_stream__(requested_schema)

    def _reader(self) -> Any:
        batches = self.record_batches()
        from userstream_client.arrow import reader_of  # noqa: PLC0415

        return reader_of(batches, self._scan.columns)


class BatchStream(_Stream[list[User]]):
    """Lists of users, one for each message; iterate over it once.

    Its `checkpoint` resumes right after the last list taken.
    """

    def __init__(self, scan: UserScan, messages: Generator[list[User], None, None]) -> None:
        super().__init__(scan, messages, _batches(scan, messages))


class UserStream(_Stream[User]):
    """Users one by one; iterate over it once."""

    def __init__(self, scan: UserScan, messages: Generator[list[User], None, None]) -> None:
        super().__init__(scan, messages, chain.from_iterable(_user_lists(scan, messages)))

    def chunks(self) -> BatchStream:
        """Return the same stream as lists, one for each message: for work on many users at once."""
        return BatchStream(self._scan, self._messages)


def _batches(
    scan: UserScan, messages: Generator[SizedT, None, None]
) -> Generator[SizedT, None, None]:
    with closing(messages):
        for users in messages:
            scan.delivered = scan.verifier.checkpoint
            if len(users):
                yield users
        scan.delivered = scan.verifier.checkpoint


def _user_lists(
    scan: UserScan, messages: Generator[list[User], None, None]
) -> Generator[list[User], None, None]:
    with closing(messages):
        for users in messages:
            checkpoint = scan.verifier.checkpoint
            yield users
            # The next list is asked for only when the last user of this one has been taken.
            scan.delivered = checkpoint
        scan.delivered = scan.verifier.checkpoint
