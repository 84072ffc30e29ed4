"""Messages grow, the last one is known, and the account is exact."""

from collections.abc import Callable, Generator, Iterator
from itertools import chain, islice
from typing import cast
from weakref import WeakSet
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_server.call_stats import begin_call_stats
from userstream_server.rows import encoding
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.types import EncodedUsers, RawRow
from userstream_server.rpc import validation
from userstream_server.rpc.messages import BatchPacker, GrowingPacker, Ledger, Pack, mark_last

KEYS = [f"00000000-0000-4000-8000-{n:012d}" for n in range(5000)]
ROWS = [(key.encode(), b"Name", b"e@example.com", b"30") for key in KEYS]


class Listed:
    """The part of a session that packers use, over rows of a list."""

    def __init__(self, rows: list[RawRow]) -> None:
        self._rows = rows

    def encoded(self, _query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        return encoding.encode_blocks(self._blocks(rows))

    def _blocks(self, rows: Callable[[], int]) -> Generator[list[RawRow]]:
        left = iter(self._rows)
        while block := list(islice(left, rows())):
            yield block


def runs(packer: BatchPacker, rows: list[RawRow]) -> Iterator[list[Pack]]:
    for packed in packer.read(cast("Session", Listed(rows)), Query("")):
        assert packed.rows == sum(pack.user_count for pack in packed.pack)
        assert packed.last_user_id == packed.pack[-1].last_user_id
        yield packed.pack


def packs(packer: BatchPacker, rows: list[RawRow]) -> Iterator[Pack]:
    return chain.from_iterable(runs(packer, rows))


def test_the_first_message_holds_one_user_and_later_ones_more() -> None:
    """Sizes go 1, 2, 4, … up to the bound in bytes."""
    made = list(packs(GrowingPacker(message_bytes=16_384, max_users=0), ROWS))
    sizes = [pack.user_count for pack in made]

    assert sizes[:4] == [1, 2, 4, 8]
    assert 16_000 < max(len(pack.users) for pack in made) <= 16_384
    assert len(ROWS) == sum(sizes)


@pytest.mark.parametrize("most", [1, 7])
def test_users_per_message_are_bounded(most: int) -> None:
    """max_users bounds every message."""
    made = list(runs(GrowingPacker(message_bytes=65_536, max_users=most), ROWS))

    assert {most} == {pack.user_count for run in made[4:-1] for pack in run}
    assert max(len(run) for run in made) == 64 // most


@pytest.mark.parametrize("users", [1, 3, 1500])
def test_exact_packs(users: int) -> None:
    """Every pack but the last has the number asked for, however many are made in one go."""
    whole, rest = divmod(len(ROWS), users)

    assert [users] * whole + [rest] * bool(rest) == [
        pack.user_count for pack in packs(BatchPacker(users), ROWS)
    ]


def test_runs_begin_with_one_pack() -> None:
    """The first message waits for no other."""
    assert [1, 2, 4, 8, 16, 32, 64, 64] == [len(run) for run in runs(BatchPacker(1), ROWS)][:8]
    assert [[10], [10, 10]] == [
        [pack.user_count for pack in run] for run in islice(runs(BatchPacker(10), ROWS), 2)
    ]


def test_the_crc_runs_on() -> None:
    """Each pack's CRC covers all user_ids up to its last one, whatever the sizes."""
    done = 0
    for pack in packs(GrowingPacker(message_bytes=4096, max_users=0), ROWS):
        done += pack.user_count

        assert KEYS[done - 1].encode() == pack.last_user_id
        assert crc32("".join(KEYS[:done]).encode()) == pack.user_id_crc32


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


def messages(request: pb.StreamUsersRequest, rows: list[RawRow]) -> list[pb.StreamUsersResponse]:
    plan = validation.check_stream_users(request)
    ledger = Ledger(plan, pb.StreamUsersResponse, lambda _: 123_456)
    packer = GrowingPacker(
        message_bytes=16_384, max_users=plan.message_users, crc=plan.position.user_id_crc32
    )
    return [pb.StreamUsersResponse.FromString(m) for m in ledger.messages(runs(packer, rows))]


def test_the_account_adds_up() -> None:
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
    account = begin_call_stats("StreamUsers")
    plan = validation.check_stream_users(pb.StreamUsersRequest(max_users_per_message=1))
    ledger = Ledger(plan, pb.StreamUsersResponse, lambda _: 0)
    stream = ledger.messages(runs(GrowingPacker(message_bytes=4096, max_users=1), ROWS))
    for _ in range(2):  # the second run has two messages
        next(stream)
    assert account.more_follow
    cast("Generator[bytes]", stream).close()

    assert not account.more_follow
