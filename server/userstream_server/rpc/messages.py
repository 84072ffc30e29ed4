"""Filling messages: how many users go into one, and the stats that travels with them."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, TypeVar
from zlib import crc32

from userstream.v1 import user_service_pb2 as pb

from userstream_server.call_stats import current_call_stats
from userstream_server.rows import encoding
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.types import Packed
from userstream_server.rpc.tokens import Position, encode_token
from userstream_server.rpc.validation import StreamPlan

__all__ = ["BatchPacker", "GrowingPacker", "Ledger", "Pack", "PagePacker", "mark_last"]

T = TypeVar("T")
_GROWTH = 2
_RUN_USERS = 64
"""The most users in packs that are made in one go; larger packs are made one by one."""
_ESTIMATE_FROM_USERS = 2_000
"""Shorter scans are over before an estimate would help."""


class Pack(NamedTuple):
    """The users of one message, encoded.

    Attributes:
        users: The encoded `users` fields.
        user_count: How many.
        last_user_id: The last one's user_id.
        user_id_crc32: The CRC-32 over the user_ids of this and all packs before it.
    """

    users: bytes
    user_count: int
    last_user_id: bytes
    user_id_crc32: int


class _Packing:
    """What packers share: packs of so many users, and the CRC that runs through them.

    Args:
        users: How many, fewer only at the end of a query.
        crc: The CRC-32 so far.
    """

    def __init__(self, users: int, crc: int = 0) -> None:
        self._users = users
        self._crc = crc

    def _packs_of(self, session: Session, query: Query) -> Generator[Pack]:
        with closing(session.encoded(query, lambda: self._users)) as blocks:
            for users, user_count, user_ids, last_user_id in blocks:
                self._crc = crc32(user_ids, self._crc)
                yield Pack(users, user_count, last_user_id, self._crc)


class PagePacker(_Packing):
    """Packs of a fixed number of users, each on its own; arguments as for `_Packing`."""

    def read(self, session: Session, query: Query) -> Generator[Packed[Pack]]:
        """See `rows.Packer.read`."""
        with closing(self._packs_of(session, query)) as packs:
            for pack in packs:
                yield Packed(pack, pack.user_count, pack.last_user_id)


class BatchPacker(_Packing):
    """Runs of packs of a fixed number of users.

    Where packs are small, several are made in one go, first one, then twice as many each time: work between two sends
    costs more than the same work before them, because every send lets other threads run.

    Args:
        users: How many in each pack.
        crc: The CRC-32 so far.
    """

    def __init__(self, users: int, crc: int = 0) -> None:
        """See the class."""
        super().__init__(users, crc)
        self._packs = 1

    def read(self, session: Session, query: Query) -> Generator[Packed[list[Pack]]]:
        """See `rows.Packer.read`."""
        with closing(self._packs_of(session, query)) as packs:
            while run := list(islice(packs, self._packs)):
                self._packs = max(1, min(self._packs * _GROWTH, _RUN_USERS // self._users))
                self._grow(run)
                yield Packed(run, sum(pack.user_count for pack in run), run[-1].last_user_id)

    def _grow(self, run: list[Pack]) -> None:
        """Adapt the packs' size to a run that was made; here it is fixed."""


class GrowingPacker(BatchPacker):
    """Runs of packs that grow.

    The first holds one user, so that it leaves at once; each next one holds twice as many, up to
    `message_bytes`, because a message costs about as much as encoding a hundred users, whatever it holds.

    Args:
        message_bytes: About how large a message may grow.
        max_users: The most users a message; 0 for no bound.
        crc: The CRC-32 so far.
    """

    def __init__(self, *, message_bytes: int, max_users: int, crc: int = 0) -> None:
        """See the class."""
        super().__init__(1, crc)
        self._message_bytes = message_bytes
        self._max_users = max_users or message_bytes

    def _grow(self, run: list[Pack]) -> None:
        rows = sum(pack.user_count for pack in run)
        fitting = self._message_bytes * rows // sum(len(pack.users) for pack in run)
        users = max(1, min(self._users * _GROWTH, fitting, self._max_users))
        if users != self._users:
            self._users, self._packs = users, 1


def mark_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yield each item with whether it is the last; looks one item ahead, and keeps no other."""
    ahead: list[T] = []
    for item in items:
        ahead.append(item)
        del item
        if len(ahead) > 1:
            yield ahead.pop(0), False
    if ahead:
        yield ahead.pop(), True


class Ledger:
    """The running stats of one stream: what was sent, its CRC, and where to go on.

    Args:
        plan: The stream's plan.
        response: The RPC's response type.
        estimate: Asks how many users come after a user_id; called once, and only for a long scan.
    """

    def __init__(
        self,
        plan: StreamPlan,
        response: type[pb.StreamUsersResponse | pb.BatchUsersResponse],
        estimate: Callable[[str | None], int],
    ) -> None:
        """See the class."""
        self._plan = plan
        self._estimate = estimate
        self._position = replace(plan.position)
        # One for all messages: setting its fields costs a third of making a new one.
        self._rest = response()
        self._stats = current_call_stats()
        self._stats.resumed = plan.position.resumed_count > 0

    def messages(self, runs: Iterable[list[Pack]]) -> Iterator[bytes]:
        """Turn runs of packs into messages, the last one with the receipt.

        An empty scan gives one message with a receipt alone.
        """
        empty = True
        for run, is_last in mark_last(runs):
            empty = False
            made = [
                (self._next(pack, is_last=is_last and pack is run[-1]), pack.user_count)
                for pack in run
            ]
            del run  # or a consumer that stalls would cost its messages twice
            yield from self._sent_together(made)
        if empty:
            yield self._message(b"", is_last=True)

    def _sent_together(self, made: list[tuple[bytes, int]]) -> Iterator[bytes]:
        """Yield messages and their numbers of users; gRPC may keep each until the last one comes."""
        stats = self._stats
        made.reverse()
        try:
            while made:
                message, user_count = made.pop()
                stats.rows += user_count
                stats.more_follow = bool(made)
                yield message
        finally:
            stats.more_follow = False

    def _next(self, pack: Pack, *, is_last: bool) -> bytes:
        self._enter(pack)
        return self._message(pack.users, is_last=is_last)

    def _message(self, users: bytes, *, is_last: bool) -> bytes:
        rest, position = self._rest, self._position
        rest.resume_token = encode_token(self._plan.bound_to, position)
        _show_progress(rest.progress, position, is_last=is_last)
        if is_last:
            rest.receipt.user_count = position.user_count
            rest.receipt.user_id_crc32 = position.user_id_crc32
            rest.receipt.consistency = self._plan.consistency
            rest.receipt.resumed_count = position.resumed_count
        return encoding.message(users, rest)

    def _enter(self, pack: Pack) -> None:
        position = self._position
        if not position.estimated_users and position.user_count >= _ESTIMATE_FROM_USERS:
            estimated = position.user_count + self._estimate(position.after)
            position.estimated_users = min(estimated, self._plan.limit or estimated)
        position.after = pack.last_user_id.decode("ascii")
        position.user_count += pack.user_count
        position.user_id_crc32 = pack.user_id_crc32


def _show_progress(progress: pb.StreamProgress, position: Position, *, is_last: bool) -> None:
    sent = position.user_count
    estimated = (
        sent if is_last else position.estimated_users and max(position.estimated_users, sent)
    )
    progress.users_sent = sent
    progress.estimated_users = estimated
    # Below 1 until the end, also where the estimate was too low.
    progress.fraction = 1.0 if is_last else min(sent / estimated, 0.999) if estimated else 0.0
