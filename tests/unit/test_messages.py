"""What each message says of its scan: token and receipt."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.call_stats import begin_call_stats
from userstream_server.rows.batches import UserBatch
from userstream_server.rows.freshness import UNKNOWN, Freshness
from userstream_server.rows.table import Table
from userstream_server.rpc.messages import StreamMessages
from userstream_server.rpc.progress import ScanProgress
from userstream_server.rpc.validation import check_stream_users

Batch = UserBatch[bytes]


def key(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def batches(*sizes: int, before: int = 0) -> list[Batch]:
    """Make batches of so many users; the n-th user's key is `key(n)`, and the CRC is made up."""
    made = []
    for size in sizes:
        before += size
        users = pb.StreamUsersResponse(users=[pb.User(user_id=key(before))] * size)
        made.append(UserBatch(users.SerializeToString(), size, key(before).encode(), before * 10))
    return made


def sent(
    ready: Iterable[Batch],
    request: pb.StreamUsersRequest | None = None,
) -> list[pb.StreamUsersResponse]:
    plan = check_stream_users(request or pb.StreamUsersRequest())
    made = StreamMessages(
        plan,
        pb.StreamUsersResponse,
        Table(),
        ScanProgress(lambda: None, plan.scan, plan.position),
    )
    messages = [message for batch in ready for message in made.add(batch)]
    return [pb.StreamUsersResponse.FromString(m) for m in (*messages, *made.finish())]


@pytest.mark.parametrize("consistency", [pb.CONSISTENCY_LIVE, pb.CONSISTENCY_SNAPSHOT])
def test_the_receipt(consistency: Any) -> None:
    """Count and CRC-32 from the very start, the consistency that was kept, and how often it was resumed."""
    request = pb.StreamUsersRequest(consistency=consistency)
    first, last = sent(batches(2, 1), request)

    assert not first.HasField("receipt")
    assert pb.StreamReceipt(user_count=3, user_id_crc32=30, consistency=consistency) == last.receipt
    for resumes in (1, 2):
        request.resume_token = first.resume_token
        first, last = sent(batches(1, 1, before=resumes + 1), request)

        assert (resumes, consistency) == (last.receipt.resumed_count, last.receipt.consistency)
        assert (resumes + 3) * 10 == last.receipt.user_id_crc32


def test_an_empty_scan_is_a_receipt() -> None:
    """One message, without a user."""
    (only,) = sent([])

    assert (
        pb.StreamUsersResponse(
            resume_token=only.resume_token,
            progress=pb.StreamProgress(fraction=1.0),
            receipt=pb.StreamReceipt(consistency=pb.CONSISTENCY_LIVE),
        )
        == only
    )


def test_the_call_s_stats() -> None:
    """They count the users that were sent, and say whether the stream was resumed."""
    stats = begin_call_stats("StreamUsers")
    token = sent(batches(100, 100, 10))[0].resume_token
    assert (210, False) == (stats.rows, stats.resumed)

    stats = begin_call_stats("StreamUsers")
    sent(batches(5, before=100), pb.StreamUsersRequest(resume_token=token))

    assert (5, True) == (stats.rows, stats.resumed)


@pytest.mark.parametrize(
    ("table", "order"),
    [
        (Table("utf8mb4_bin"), pb.KEY_ORDER_UNSPECIFIED),
        (Table("NOCASE"), pb.KEY_ORDER_COLLATION),
    ],
)
def test_the_order_of_the_keys(table: Table, order: Any) -> None:
    """Every message, its token and the receipt say whether ids ascend byte by byte."""
    plan = check_stream_users(pb.StreamUsersRequest())
    progress = ScanProgress(lambda: None, plan.scan, plan.position)
    made = StreamMessages(plan, pb.StreamUsersResponse, table, progress)
    found = [message for batch in batches(100, 100) for message in made.add(batch)]
    first, last = [pb.StreamUsersResponse.FromString(m) for m in (*found, *made.finish())]

    assert [order] * 3 == [first.key_order, last.key_order, last.receipt.key_order]
    for message in (first, last):
        request = pb.StreamUsersRequest(resume_token=message.resume_token)
        assert table.order == check_stream_users(request).position.order


@pytest.mark.parametrize(
    ("fresh", "kept"),
    [
        (None, pb.FRESHNESS_UNSPECIFIED),
        (Freshness(b"a"), pb.FRESHNESS_KEPT),
        (UNKNOWN, pb.FRESHNESS_UNKNOWN),
    ],
)
def test_freshness(fresh: Freshness | None, kept: Any) -> None:
    """Where several hosts are read, tokens say how new the data was with their users, and the receipt in all."""
    now = [fresh]
    plan = check_stream_users(pb.StreamUsersRequest())
    plan.position.freshness = Freshness(b"of the token that began it")
    progress = ScanProgress(lambda: None, plan.scan, plan.position)
    made = StreamMessages(plan, pb.StreamUsersResponse, Table(), progress, lambda: now[0])
    found: list[pb.StreamUsersResponse] = []
    for number, batch in enumerate(batches(100, 100, 100)):
        found += map(pb.StreamUsersResponse.FromString, made.add(batch))
        now[0] = fresh and replace(fresh, position=b"%d" % number)
    found += map(pb.StreamUsersResponse.FromString, made.finish())
    read = [
        check_stream_users(pb.StreamUsersRequest(resume_token=m.resume_token)).position.freshness
        for m in found
    ]

    assert kept == found[-1].receipt.freshness
    assert [fresh and fresh.is_kept] * 3 == [at and at.is_kept for at in read]
    assert read[-1] == now[0]


def test_freshness_of_one_host() -> None:
    """There it means nothing, whatever a token says."""
    plan = check_stream_users(pb.StreamUsersRequest())
    plan.position.freshness = Freshness(b"of another server")
    progress = ScanProgress(lambda: None, plan.scan, plan.position)
    made = StreamMessages(plan, pb.StreamUsersResponse, Table(), progress)
    (only,) = [pb.StreamUsersResponse.FromString(message) for message in made.finish()]
    resumed = check_stream_users(pb.StreamUsersRequest(resume_token=only.resume_token))

    assert pb.FRESHNESS_UNSPECIFIED == only.receipt.freshness
    assert resumed.position.freshness is None


class HalfWay:
    """The progress of a scan that is always half over."""

    estimated_users, fraction = 1000, 0.5

    def __init__(self) -> None:
        self.steps: list[tuple[int, str]] = []

    def advance(self, user_count: int, last_key: str) -> None:
        self.steps.append((user_count, last_key))


def test_progress() -> None:
    """Each message tells how far the scan is with its users; the last one is the end, whatever was estimated."""
    plan, progress = check_stream_users(pb.StreamUsersRequest()), HalfWay()
    made = StreamMessages(plan, pb.StreamUsersResponse, Table(), cast("ScanProgress", progress))
    found = [message for batch in batches(100, 100) for message in made.add(batch)]
    first, last = [pb.StreamUsersResponse.FromString(m) for m in (*found, *made.finish())]
    resumed = check_stream_users(pb.StreamUsersRequest(resume_token=first.resume_token))

    assert [(100, key(100)), (200, key(200))] == progress.steps
    assert pb.StreamProgress(users_sent=100, estimated_users=1000, fraction=0.5) == first.progress
    assert pb.StreamProgress(users_sent=200, estimated_users=200, fraction=1.0) == last.progress
    assert (1000, 100) == (resumed.position.estimated_users, resumed.position.user_count)
