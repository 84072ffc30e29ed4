"""Messages grow, the last one is known, and count and CRC are exact."""

from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import cast
from weakref import WeakSet
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_server.call_stats import begin_call_stats
from userstream_server.rows import encoding
from userstream_server.rows.batches import (
    EncodeUsers,
    ExactSize,
    GrowingSize,
    SizePolicy,
    UserBatch,
)
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table
from userstream_server.rows.types import EncodedUsers, RawRow
from userstream_server.rpc import validation
from userstream_server.rpc.messages import StreamMessages, mark_last, runs_of
from userstream_server.rpc.progress import ScanProgress

KEYS = [f"00000000-0000-4000-8000-{n:012d}" for n in range(5000)]
ROWS = [(key.encode(), b"Name", b"e@example.com", b"30") for key in KEYS]


class Listed:
    """The part of a session that batch readers use, over rows of a list."""

    def __init__(self, rows: list[RawRow]) -> None:
        self._rows = rows

    def encoded(self, _query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        return encoding.encode_blocks(self._blocks(rows))

    def _blocks(self, rows: Callable[[], int]) -> Generator[list[RawRow]]:
        left = iter(self._rows)
        while block := list(islice(left, rows())):
            yield block


def batches(size: SizePolicy, rows: list[RawRow], crc: int = 0) -> Iterator[UserBatch[bytes]]:
    yield from EncodeUsers(size, crc).read(cast("Session", Listed(rows)), Query(""))


def runs(size: SizePolicy) -> Iterator[list[UserBatch[bytes]]]:
    return runs_of(batches(size, ROWS))


def test_the_first_message_holds_one_user_and_later_ones_more() -> None:
    """Sizes go 1, 2, 4, … up to the bound in bytes."""
    made = list(batches(GrowingSize(message_bytes=16_384, max_users=0), ROWS))
    sizes = [batch.user_count for batch in made]

    assert sizes[:4] == [1, 2, 4, 8]
    assert 16_000 < max(len(batch.users) for batch in made) <= 16_384
    assert len(ROWS) == sum(sizes)


@pytest.mark.parametrize("most", [1, 7])
def test_users_per_message_are_bounded(most: int) -> None:
    """max_users bounds every message."""
    made = list(runs(GrowingSize(message_bytes=65_536, max_users=most)))

    assert {most} == {batch.user_count for run in made[4:-1] for batch in run}
    # A run ends with the message that reaches 64 users; the first one has the messages that still grow.
    assert max(len(run) for run in made) == {1: 64, 7: 11}[most]


@pytest.mark.parametrize("users", [1, 3, 1500])
def test_exact_sizes(users: int) -> None:
    """Every batch but the last has the number asked for."""
    whole, rest = divmod(len(ROWS), users)

    assert [users] * whole + [rest] * bool(rest) == [
        batch.user_count for batch in batches(ExactSize(users), ROWS)
    ]


def test_runs_begin_with_one_batch() -> None:
    """The first message waits for no other; later small ones leave 64 users at a time."""
    assert [1, 64, 64] == [len(run) for run in runs(ExactSize(1))][:3]
    assert [1, 7, 7] == [len(run) for run in runs(ExactSize(10))][:3]
    assert [1, 1, 1] == [len(run) for run in runs(ExactSize(100))][:3]


def test_no_run_waits_for_a_query() -> None:
    """A run ends with its chunk, whatever its size."""
    ready = list(batches(ExactSize(1), ROWS[:10]))
    ready[4] = ready[4]._replace(ends_chunk=True)

    assert [1, 4, 5] == [len(run) for run in runs_of(ready)]


def test_the_crc_runs_on() -> None:
    """Each batch's CRC covers all user_ids up to its last one, whatever the sizes."""
    done = 0
    for batch in batches(GrowingSize(message_bytes=4096, max_users=0), ROWS):
        done += batch.user_count

        assert KEYS[done - 1].encode() == batch.last_user_id
        assert crc32("".join(KEYS[:done]).encode()) == batch.user_id_crc32


@given(st.lists(st.integers()))
def test_mark_last(items: list[int]) -> None:
    """Exactly the last item is marked."""
    marked = list(mark_last(items))

    assert items == [item for item, _ in marked]
    assert [False] * (len(items) - 1) + [True] * bool(items) == [last for _, last in marked]


class Held:
    """Something whose end can be seen."""


def test_only_the_item_ahead_is_kept() -> None:
    """Whoever stalls on an item keeps that one and the next, none that went before."""
    held = WeakSet[Held]()

    def items() -> Iterator[Held]:
        for _ in range(5):
            held.add(item := Held())
            yield item
            del item

    kept = []
    for item, _ in mark_last(items()):
        del item
        kept.append(len(held))

    assert [1, 1, 1, 1, 0] == kept


def no_progress(plan: validation.StreamPlan) -> ScanProgress:
    return ScanProgress(lambda: None, plan.scan, plan.position)


def messages(request: pb.StreamUsersRequest, rows: list[RawRow]) -> list[pb.StreamUsersResponse]:
    plan = validation.check_stream_users(request)
    made = StreamMessages(plan, pb.StreamUsersResponse, Table(), no_progress(plan))
    size = GrowingSize(message_bytes=16_384, max_users=plan.message_users)
    users = batches(size, rows, plan.position.user_id_crc32)
    return [pb.StreamUsersResponse.FromString(m) for m in made.serialized(users)]


def test_the_receipt_adds_up() -> None:
    """Tokens are in each message, the receipt in the last alone, with the right count and CRC."""
    sent = messages(pb.StreamUsersRequest(), ROWS)

    assert [*KEYS] == [user.user_id for message in sent for user in message.users]
    assert all(message.resume_token for message in sent)
    assert [False] * (len(sent) - 1) + [True] == [m.HasField("receipt") for m in sent]
    assert (len(KEYS), crc32("".join(KEYS).encode())) == (
        sent[-1].receipt.user_count,
        sent[-1].receipt.user_id_crc32,
    )


def test_progress_never_goes_back() -> None:
    """users_sent and fraction rise; fraction is 1 in the last message only."""
    progress = [message.progress for message in messages(pb.StreamUsersRequest(), ROWS)]

    assert sorted(p.users_sent for p in progress) == [p.users_sent for p in progress]
    assert sorted(p.fraction for p in progress) == [p.fraction for p in progress]
    assert [1.0] == [p.fraction for p in progress if p.fraction >= 1]


def test_going_on_after_any_message_gives_the_same_receipt() -> None:
    """From each message's token, the rest leads to the same count and CRC, and says it was resumed."""
    sent = messages(pb.StreamUsersRequest(max_users_per_message=97), ROWS[:1000])
    done = 0
    for message in sent:
        done += len(message.users)
        again = messages(pb.StreamUsersRequest(resume_token=message.resume_token), ROWS[done:1000])

        assert sent[-1].receipt.user_id_crc32 == again[-1].receipt.user_id_crc32
        assert again[-1].receipt.user_count == 1000
        assert again[-1].receipt.resumed_count == 1


def test_an_empty_stream_has_a_receipt() -> None:
    """No users: one message with a receipt of zero."""
    (only,) = messages(pb.StreamUsersRequest(), [])

    assert (0, 0, 1.0) == (
        only.receipt.user_count,
        only.receipt.user_id_crc32,
        only.progress.fraction,
    )


def test_a_stream_left_in_the_middle_leaves_no_hint() -> None:
    """What is sent next in the same thread waits for nothing."""
    stats = begin_call_stats("StreamUsers")
    plan = validation.check_stream_users(pb.StreamUsersRequest(max_users_per_message=1))
    made = StreamMessages(plan, pb.StreamUsersResponse, Table(), no_progress(plan))
    stream = made.serialized(batches(GrowingSize(message_bytes=4096, max_users=1), ROWS))
    for _ in range(2):  # the second run has two messages
        next(stream)
    assert stats.more_follow
    stream.close()

    assert not stats.more_follow
