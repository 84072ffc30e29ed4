"""Filling messages: how many users go into one, and the account that travels with them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from userstream.v1 import user_service_pb2 as pb

from userstream_server import wire
from userstream_server.tokens import Position, encode_token
from userstream_server.validation import StreamPlan

__all__ = ["Ledger", "mark_last", "pack"]

T = TypeVar("T")
_GROWTH = 4
_ESTIMATE_FROM_USERS = 2_000
"""Shorter scans are over before an estimate would help."""


def pack(users: Iterator[bytes], *, message_bytes: int, max_users: int) -> Iterator[list[bytes]]:
    """Split encoded users into the contents of messages.

    The first message leaves with the first user; each next one holds four times as many, up to
    `message_bytes`, because a message costs about as much as encoding a hundred users, whatever it
    holds.

    Args:
        users: Encoded users.
        message_bytes: About how large a message may grow.
        max_users: The most users a message; 0 for no bound.
    """
    count = 1
    while batch := list(islice(users, count)):
        yield batch
        bytes_per_user = max(1, sum(map(len, batch)) // len(batch))
        count = max(
            1, min(count * _GROWTH, message_bytes // bytes_per_user, max_users or count * _GROWTH)
        )


def mark_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yield each item with whether it is the last; looks one item ahead."""
    iterator = iter(items)
    for item in iterator:
        for following in iterator:
            yield item, False
            item = following  # noqa: PLW2901 - the look-ahead is the point
        yield item, True


class Ledger:
    """The running account of one stream: what was sent, its CRC, and where to go on.

    Args:
        plan: The stream's plan.
        response: The RPC's response type.
        estimate: Asks how many users come after a user_id; called once, and only for a scan that is
            not short.
    """

    def __init__(
        self,
        plan: StreamPlan,
        response: type[pb.StreamUsersResponse | pb.BatchUsersResponse],
        estimate: Callable[[str | None], int],
    ) -> None:
        """See the class."""
        self._plan = plan
        self._response = response
        self._estimate = estimate
        self.position: Position = plan.position

    def messages(self, batches: Iterable[list[bytes]]) -> Iterator[bytes]:
        """Turn the contents of messages into messages, the last one with the receipt.

        An empty scan gives one message with a receipt alone.
        """
        empty = True
        for users, is_last in mark_last(batches):
            empty = False
            yield self._message(users, is_last=is_last)
        if empty:
            yield self._message([], is_last=True)

    def _message(self, users: list[bytes], *, is_last: bool) -> bytes:
        if users:
            self._enter(users)
        position = self.position
        rest = self._response(
            resume_token=encode_token(self._plan.bound_to, position),
            progress=_progress(position, is_last),
        )
        if is_last:
            rest.receipt.user_count = position.user_count
            rest.receipt.user_id_crc32 = position.user_id_crc32
            rest.receipt.consistency = self._plan.consistency
            rest.receipt.resumed_count = position.resumed_count
        return wire.message(users, rest)

    def _enter(self, users: list[bytes]) -> None:
        before = self.position
        estimated = before.estimated_users
        if not estimated and before.user_count >= _ESTIMATE_FROM_USERS:
            estimated = before.user_count + self._estimate(before.after)
            estimated = min(estimated, self._plan.limit or estimated)
        self.position = replace(
            before,
            after=wire.last_user_id(users),
            user_count=before.user_count + len(users),
            user_id_crc32=wire.user_ids_crc32(users, before.user_id_crc32),
            estimated_users=estimated,
        )


def _progress(position: Position, is_last: bool) -> pb.StreamProgress:  # noqa: FBT001
    sent = position.user_count
    if is_last:
        return pb.StreamProgress(users_sent=sent, estimated_users=sent, fraction=1.0)
    estimated = position.estimated_users and max(position.estimated_users, sent)
    # Below 1 until the end, also where the estimate was too low.
    fraction = min(sent / estimated, 0.999) if estimated else 0.0
    return pb.StreamProgress(users_sent=sent, estimated_users=estimated, fraction=fraction)
