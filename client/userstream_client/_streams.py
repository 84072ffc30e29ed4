"""The sync client's streams: attempts made one after another, and what the caller holds of them."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import grpc

from userstream_client._retry import QUIET, Attempts
from userstream_client._scans import UserScan, quiet_error
from userstream_client._watchdog import Watch, Watchdog
from userstream_client.errors import UserStreamError, error_from_call
from userstream_client.models import Checkpoint, Progress, Receipt, User

__all__ = ["BatchStream", "UserStream", "answer", "answers"]

ItemT_co = TypeVar("ItemT_co", covariant=True)
RowT = TypeVar("RowT")


class Scan(Protocol[ItemT_co]):
    """What a driver needs of a scan; see `_scans`."""

    @property
    def done(self) -> bool: ...
    def next_request(self) -> Any: ...
    def take(self, response: Any) -> ItemT_co: ...
    def end(self) -> None: ...
    def settle(self) -> None: ...


Method = Callable[..., Any]


def answers(
    scan: Scan[ItemT_co], method: Method, attempts: Attempts, watchdog: Watchdog
) -> Generator[ItemT_co, None, None]:
    """Yield what a scan makes of its messages, over as many attempts as it takes.

    Args:
        scan: What to ask for, and what to make of it.
        method: The stub's method with the call's metadata; takes the request, `timeout`, and whether to
            connect `afresh`.
        attempts: When to go on.
        watchdog: Ends attempts that have gone quiet.

    Raises:
        UserStreamError: The call failed for good, or what came is not what was promised.
    """
    failure: UserStreamError | None = None
    while not scan.done:
        # A connection that went quiet may look alive to gRPC for long.
        afresh = failure is not None and failure.reason == QUIET
        call = method(scan.next_request(), timeout=attempts.remaining_seconds(), afresh=afresh)
        failure = None
        try:
            with watchdog.over(call) as watch:
                for message in _messages(call, watch):
                    item = scan.take(message)
                    attempts.progressed()
                    yield item
            scan.end()
        except grpc.RpcError as raised:
            failure = _error(raised, watch, watchdog)
        finally:
            # Whoever opens a call ends it: also when the caller leaves, or the scan refuses a message.
            call.cancel()
        if failure is None or scan.done:
            break
        time.sleep(attempts.wait_after(failure))
    scan.settle()


def answer(request: object, method: Method, attempts: Attempts) -> Any:
    """Return the answer of a unary call, made as often as it takes.

    Raises:
        UserStreamError: The call failed for good.
    """
    while True:
        try:
            response = method(request, timeout=attempts.remaining_seconds())
        except grpc.RpcError as raised:
            failure = error_from_call(raised)
        else:
            attempts.progressed()
            return response
        time.sleep(attempts.wait_after(failure))


def _messages(call: Any, watch: Watch) -> Iterator[Any]:
    while True:
        watch.waiting_since = time.monotonic()
        try:
            message = next(call)
        except StopIteration:
            return
        finally:
            watch.waiting_since = None
        yield message


def _error(failure: grpc.RpcError, watch: Watch, watchdog: Watchdog) -> UserStreamError:
    return quiet_error(watchdog.limit_seconds) if watch.fired else error_from_call(failure)


class _RowStream(Iterator[RowT]):
    """What UserStream and BatchStream share."""

    def __init__(self, scan: UserScan, lists: Generator[list[User], None, None]) -> None:
        """Take a scan and the generator that drives it.

        Neither knows this object: dropping it, or leaving a loop over it, drops the generator too,
        and that ends the call.
        """
        self._scan = scan
        self._lists = lists
        self._rows: Iterator[RowT] = iter(self._make_rows(scan, lists))

    @staticmethod
    def _make_rows(scan: UserScan, lists: Generator[list[User], None, None]) -> Iterable[Any]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[RowT]:  # noqa: PYI034
        # The inner iterator, so that a loop over millions of users calls no Python code for each.
        return self._rows

    def __next__(self) -> RowT:
        return next(self._rows)

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
        """End the call; users not taken yet are lost. Does no harm when it has ended."""
        self._lists.close()

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
        """Where to go on, as `resume_token=` of the same call, so that no user is lost.

        It moves message by message, when a message's last user has been taken; from a checkpoint in
        the middle of a message, that message's users come again.
        """
        return self._scan.handed_out

    @property
    def resume_token(self) -> str:
        """The bare token of `checkpoint`."""
        return self._scan.handed_out.resume_token


class BatchStream(_RowStream[list[User]]):
    """Lists of users as they came, one a message; iterate over it once.

    `checkpoint` goes on right after the last list taken.
    """

    @staticmethod
    def _make_rows(
        scan: UserScan, lists: Generator[list[User], None, None]
    ) -> Iterable[list[User]]:
        return _batches(scan, lists)


class UserStream(_RowStream[User]):
    """Users one by one; iterate over it once."""

    @staticmethod
    def _make_rows(scan: UserScan, lists: Generator[list[User], None, None]) -> Iterable[User]:
        return chain.from_iterable(_taken_lists(scan, lists))

    def chunks(self) -> BatchStream:
        """Return the same stream as lists, one a message: for work on many users at once."""
        return BatchStream(self._scan, self._lists)


def _batches(
    scan: UserScan, lists: Generator[list[User], None, None]
) -> Generator[list[User], None, None]:
    with closing(lists):
        for users in lists:
            scan.handed_out = scan.verifier.checkpoint
            if users:
                yield users
        scan.handed_out = scan.verifier.checkpoint


def _taken_lists(
    scan: UserScan, lists: Generator[list[User], None, None]
) -> Generator[list[User], None, None]:
    with closing(lists):
        for users in lists:
            checkpoint = scan.verifier.checkpoint
            yield users
            # Asked for the next list: this one has been taken to its last user.
            scan.handed_out = checkpoint
        scan.handed_out = scan.verifier.checkpoint
