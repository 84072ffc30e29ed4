"""Messages grow, the last one is known, and count and CRC are exact."""

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import cast
from zlib import crc32

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.call_stats import begin_call_stats
from userstream_server.grpc_internals import BufferableMessage
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
from userstream_server.rpc.messages import StreamMessages
from userstream_server.rpc.progress import ScanProgress

KEYS = [f"00000000-0000-4000-8000-{n:012d}" for n in range(5000)]
ROWS = [(key.encode(), b"Name and surname", b"e@example.com", b"30") for key in KEYS]


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


def sent_together(size: SizePolicy, rows: list[RawRow] = ROWS) -> list[list[int]]:
    """Return the numbers of users of messages that are sent together."""
    return flushed(batches(size, rows))


def flushed(ready: Iterable[UserBatch[bytes]]) -> list[list[int]]:
    made = stream_messages(pb.StreamUsersRequest())
    parts = [list(made.add(batch)) for batch in ready]
    parts.append(list(made.finish()))
    return [[len(decoded(m).users) for m in part] for part in parts if part]


def stream_messages(request: pb.StreamUsersRequest) -> StreamMessages:
    plan = validation.check_stream_users(request)
    progress = ScanProgress(lambda: None, plan.scan, plan.position)
    return StreamMessages(plan, pb.StreamUsersResponse, Table(), progress)


def decoded(message: bytes) -> pb.StreamUsersResponse:
    return pb.StreamUsersResponse.FromString(message)


def test_the_first_message_holds_one_user_and_later_ones_more() -> None:
    """Sizes go 1, 2, 4, … up to the bound in bytes."""
    made = list(batches(GrowingSize(message_bytes=16_384, max_users=0), ROWS))
    sizes = [batch.user_count for batch in made]

    assert sizes[:4] == [1, 2, 4, 8]
    assert 16_000 < max(len(batch.users) for batch in made) <= 16_384
    assert len(ROWS) == sum(sizes)


@pytest.mark.parametrize("max_users", [0, 10_000])
def test_long_users_behind_short_ones_stay_below_the_limit_of_grpc_clients(max_users: int) -> None:
    """The size of a message is chosen before its rows are read; 4 MiB is what clients accept by default."""
    short = [(key.encode(), b"", b"", b"0") for key in KEYS]
    long = [(key.encode(), b"n" * 1020, b"e" * 1020, b"9" * 10) for key in KEYS]
    largest = 0
    for count in (
        2047,
        4095,
        4500,
    ):  # behind the first messages of 1 to 1024, to 2048, and in the middle of one
        size = GrowingSize(message_bytes=131_072, max_users=max_users)
        made = list(batches(size, short[:count] + long[count:]))
        largest = max(largest, *(len(batch.users) for batch in made))

    assert 3_500_000 < largest < 4_190_000


@pytest.mark.parametrize("most", [1, 7])
def test_users_per_message_are_bounded(most: int) -> None:
    """max_users bounds every message."""
    made = sent_together(GrowingSize(message_bytes=65_536, max_users=most))

    assert {most} == {users for together in made[4:-1] for users in together}
    # They leave with the message that reaches 64 users; the first ones still grow.
    assert max(len(together) for together in made) == {1: 64, 7: 11}[most]


@pytest.mark.parametrize("users", [1, 3, 1500])
def test_exact_sizes(users: int) -> None:
    """Every batch but the last has the number asked for."""
    whole, rest = divmod(len(ROWS), users)

    assert [users] * whole + [rest] * bool(rest) == [
        batch.user_count for batch in batches(ExactSize(users), ROWS)
    ]


def test_small_messages_are_sent_together() -> None:
    """The first message waits for no other; later small ones leave 64 users at a time."""
    assert [1, 64, 64] == [len(together) for together in sent_together(ExactSize(1))][:3]
    assert [1, 7, 7] == [len(together) for together in sent_together(ExactSize(10))][:3]
    assert [1, 1, 1] == [len(together) for together in sent_together(ExactSize(100))][:3]


def test_messages_that_are_made_wait_for_no_query() -> None:
    """They leave before the chunk ends; only its last batch waits, as it may be the stream's last."""
    ready = list(batches(ExactSize(1), ROWS[:10]))
    ready[4] = ready[4]._replace(ends_chunk=True)

    assert [1, 3, 6] == [len(together) for together in flushed(ready)]


def test_the_crc_runs_on() -> None:
    """Each batch's CRC covers all user_ids up to its last one, whatever the sizes."""
    done = 0
    reader = EncodeUsers(GrowingSize(message_bytes=4096, max_users=0))
    for batch in reader.read(cast("Session", Listed(ROWS)), Query("")):
        done += batch.user_count

        assert KEYS[done - 1].encode() == batch.last_user_id
        assert crc32("".join(KEYS[:done]).encode()) == batch.user_id_crc32


def test_a_stalled_consumer_holds_what_was_not_sent() -> None:
    """Whoever stalls at a message holds that one and the next batch, none that went before."""
    made = stream_messages(pb.StreamUsersRequest())
    for batch in batches(ExactSize(100), ROWS[:500]):
        sending = made.add(batch)
        for _ in sending:
            assert batch is made._newest
            assert [] == made._made


def messages(request: pb.StreamUsersRequest, rows: list[RawRow]) -> list[pb.StreamUsersResponse]:
    plan = validation.check_stream_users(request)
    made = stream_messages(request)
    size = GrowingSize(message_bytes=16_384, max_users=plan.message_users)
    users = batches(size, rows, plan.position.user_id_crc32)
    sent = [message for batch in users for message in made.add(batch)]
    return [decoded(message) for message in (*sent, *made.finish())]


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


def test_a_message_says_itself_whether_others_follow() -> None:
    """Those that others follow may be buffered by gRPC; only what is sent counts for the call."""
    stats = begin_call_stats("StreamUsers")
    made = stream_messages(pb.StreamUsersRequest())
    first, *more = batches(ExactSize(1), ROWS[:5])
    alone = [message for batch in (first, more[0]) for message in made.add(batch)]
    assert [bytes] == [type(message) for message in alone]
    for batch in more[1:]:
        assert not [*made.add(batch)]
    together = iter(made.finish())

    assert type(next(together)) is BufferableMessage
    assert stats.rows == 2
    assert [BufferableMessage, BufferableMessage, bytes] == [type(message) for message in together]
    assert stats.rows == 5
