"""Batches of users become messages: each with its token and progress, the last one with the receipt."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from userstream.v1 import user_service_pb2 as pb

from userstream_server.call_stats import current_call_stats
from userstream_server.rows import encoding
from userstream_server.rows.batches import UserBatch
from userstream_server.rows.table import Table
from userstream_server.rpc.key_order import key_order
from userstream_server.rpc.progress import ScanProgress
from userstream_server.rpc.tokens import encode_token
from userstream_server.rpc.validation import StreamPlan

__all__ = ["StreamMessages", "mark_last", "runs_of"]

T = TypeVar("T")
Batch = UserBatch[bytes]
_RUN_USERS = 64
"""About how many users go into the messages that leave together; larger messages leave one by one."""


def mark_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yield each item with whether it is the last; looks one item ahead and keeps no other."""
    ahead: list[T] = []
    for item in items:
        ahead.append(item)
        del item
        if len(ahead) > 1:
            yield ahead.pop(0), False
    if ahead:
        yield ahead.pop(), True


def runs_of(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Group small batches that are ready at the same time; the first batch is alone.

    Work between two sends costs more than the same work before them, because every send lets other
    threads run (docs/adr/0006-polling.md). No run waits for a query.
    """
    run: list[Batch] = []
    users, most = 0, 1
    for batch in batches:
        run.append(batch)
        users += batch.user_count
        if users >= most or batch.ends_chunk:
            yield run
            run, users, most = [], 0, _RUN_USERS
    if run:
        yield run


class StreamMessages:
    """Makes one stream's messages and keeps what its tokens and receipt say.

    Args:
        plan: The stream's plan.
        response: The RPC's response type.
        table: What is read.
        progress: Estimates the scan's end.
    """

    def __init__(
        self,
        plan: StreamPlan,
        response: type[pb.StreamUsersResponse | pb.BatchUsersResponse],
        table: Table,
        progress: ScanProgress,
    ) -> None:
        self._plan = plan
        self._progress = progress
        self._position = replace(plan.position, order=table.order)
        # One object for all messages: setting its fields costs a third of making a new one.
        self._other_fields = response(key_order=key_order(table))
        self._stats = current_call_stats()
        self._stats.resumed = plan.position.resumed_count > 0

    def serialized(self, batches: Iterable[Batch]) -> Generator[bytes]:
        """Yield a serialized message for each batch, the last one with the receipt.

        An empty scan gives one message that holds only the receipt.
        """
        empty = True
        for run, is_last_run in mark_last(runs_of(batches)):
            empty = False
            made = [
                (self._next(batch, is_last=is_last_run and batch is run[-1]), batch.user_count)
                for batch in run
            ]
            del run  # or a stalled consumer would hold its messages twice
            # gRPC may buffer each of them until the last one comes.
            made.reverse()
            try:
                while made:
                    message, user_count = made.pop()
                    self._stats.rows += user_count
                    self._stats.more_follow = bool(made)
                    yield message
            finally:
                self._stats.more_follow = False
        if empty:
            yield self._message(b"", is_last=True)

    def _next(self, batch: Batch, *, is_last: bool) -> bytes:
        self._advance(batch)
        return self._message(batch.users, is_last=is_last)

    def _message(self, users: bytes, *, is_last: bool) -> bytes:
        other, position = self._other_fields, self._position
        other.resume_token = encode_token(self._plan.bound_to, position)
        self._show_progress(other.progress, is_last=is_last)
        if is_last:
            other.receipt.user_count = position.user_count
            other.receipt.user_id_crc32 = position.user_id_crc32
            other.receipt.consistency = self._plan.consistency
            other.receipt.resumed_count = position.resumed_count
            other.receipt.key_order = other.key_order
        return encoding.message(users, other)

    def _advance(self, batch: Batch) -> None:
        position = self._position
        position.after = batch.last_user_id.decode("ascii")
        position.user_count += batch.user_count
        position.user_id_crc32 = batch.user_id_crc32
        self._progress.advance(position.user_count, position.after)
        position.estimated_users = self._progress.estimated_users

    def _show_progress(self, shown: pb.StreamProgress, *, is_last: bool) -> None:
        sent = self._position.user_count
        shown.users_sent = sent
        shown.estimated_users = sent if is_last else self._progress.estimated_users
        shown.fraction = 1.0 if is_last else self._progress.fraction
