"""Turns batches of users into messages: each with a resume token and progress, the last one with the receipt."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from userstream.v1 import user_service_pb2 as pb

from userstream_server.call_stats import current_call_stats
from userstream_server.grpc_internals import BufferableMessage
from userstream_server.rows import encoding
from userstream_server.rows.batches import UserBatch
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.table import Table
from userstream_server.rpc.key_order import key_order
from userstream_server.rpc.progress import ScanProgress
from userstream_server.rpc.tokens import encode_token
from userstream_server.rpc.validation import StreamPlan

__all__ = ["StreamMessages"]

Batch = UserBatch[bytes]
_FLUSH_USERS = 64
"""Small messages are sent together once they hold this many users; larger messages are sent one by one."""


class StreamMessages:
    """Makes one stream's messages and keeps what its tokens and receipt say.

    Small messages are made ahead and sent together. Work between two sends costs more than the same work
    before them, because every send lets other threads run (docs/adr/0009-send-hints.md). The first message
    of a stream leaves alone.

    Args:
        plan: The stream's plan.
        response: The RPC's response type.
        table: What is read.
        progress: Estimates the scan's end.
        freshness: Says how new the data is that was read so far; None where only one database host is read.
    """

    def __init__(
        self,
        plan: StreamPlan,
        response: type[pb.StreamUsersResponse | pb.BatchUsersResponse],
        table: Table,
        progress: ScanProgress,
        freshness: Callable[[], Freshness | None] | None = None,
    ) -> None:
        self._plan = plan
        self._freshness = freshness
        self._progress = progress
        self._position = replace(plan.position, order=table.order, freshness=None)
        # One object for all messages: setting its fields costs a third of making a new one.
        self._other_fields = response(key_order=key_order(table))
        self._stats = current_call_stats()
        self._stats.resumed = plan.position.resumed_count > 0
        # The newest batch waits until it is known whether it is the last, which carries the receipt.
        self._newest: Batch | None = None
        self._made: list[tuple[bytes, int]] = []
        self._users_made = 0
        self._flush_users = 1

    def add(self, batch: Batch) -> Iterable[bytes]:
        """Take the stream's next batch; return the messages that can be sent before it."""
        before, self._newest = self._newest, batch
        if before is None:
            return ()
        self._make(before, is_last=False)
        # A query follows the end of a chunk, and what is made must not wait for it.
        is_due = self._users_made >= self._flush_users or batch.ends_chunk
        return self._flush() if is_due else ()

    def finish(self) -> Iterable[bytes]:
        """Return the rest of the messages; without any batch, one that holds only the receipt."""
        if self._newest is None:
            return (self._message(b"", is_last=True),)
        last, self._newest = self._newest, None
        self._make(last, is_last=True)
        return self._flush()

    def _flush(self) -> Iterator[bytes]:
        """Yield the messages that were made; gRPC may buffer all but the last of them."""
        made, self._made, self._users_made = self._made, [], 0
        self._flush_users = _FLUSH_USERS
        # A stalled consumer then holds only what was not sent.
        made.reverse()
        while made:
            message, user_count = made.pop()
            self._stats.rows += user_count
            yield BufferableMessage(message) if made else message

    def _make(self, batch: Batch, *, is_last: bool) -> None:
        self._advance(batch)
        self._made.append((self._message(batch.users, is_last=is_last), batch.user_count))
        self._users_made += batch.user_count

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
            other.receipt.freshness = _kept(self._freshness and self._freshness())
        return encoding.message(users, other)

    def _advance(self, batch: Batch) -> None:
        position = self._position
        position.after = batch.last_user_id.decode("ascii")
        position.user_count += batch.user_count
        position.user_id_crc32 = batch.user_id_crc32
        if self._freshness:
            position.freshness = self._freshness()
        self._progress.advance(position.user_count, position.after)
        position.estimated_users = self._progress.estimated_users

    def _show_progress(self, shown: pb.StreamProgress, *, is_last: bool) -> None:
        sent = self._position.user_count
        shown.users_sent = sent
        shown.estimated_users = sent if is_last else self._progress.estimated_users
        shown.fraction = 1.0 if is_last else self._progress.fraction


def _kept(freshness: Freshness | None) -> pb.Freshness.ValueType:
    if freshness is None:
        return pb.FRESHNESS_UNSPECIFIED
    return pb.FRESHNESS_KEPT if freshness.is_kept else pb.FRESHNESS_UNKNOWN
