"""What each message says of its scan: progress, token and receipt."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.call_stats import begin_call_stats
from userstream_server.rows.batches import UserBatch
from userstream_server.rpc.messages import StreamMessages
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
    estimate: Callable[[str | None], int] = lambda _: 0,
) -> list[pb.StreamUsersResponse]:
    plan = check_stream_users(request or pb.StreamUsersRequest())
    made = StreamMessages(plan, pb.StreamUsersResponse, estimate)
    messages = [message for batch in ready for message in made.add(batch)]
    return [pb.StreamUsersResponse.FromString(m) for m in (*messages, *made.finish())]


def progress(messages: list[pb.StreamUsersResponse]) -> list[tuple[int, int, float]]:
    """Return users_sent, estimated_users and fraction of each message."""
    shown = [message.progress for message in messages]
    return [(p.users_sent, p.estimated_users, p.fraction) for p in shown]


@pytest.mark.parametrize(
    ("follow", "limit", "expected"),
    [
        # The estimate is of what follows the first 2,000 users: 8,000 are those and 6,000 more.
        (6000, 0, [(3000, 8000, 0.375), (4000, 8000, 0.5)]),
        (6000, 5000, [(3000, 5000, 0.6), (4000, 5000, 0.8)]),  # no more than the limit will come
        (1500, 0, [(3000, 3500, 3000 / 3500), (4000, 4000, 0.999)]),  # an estimate that was too low
        (0, 0, [(3000, 3000, 0.999), (4000, 4000, 0.999)]),
    ],
)
def test_progress_of_a_long_scan(
    follow: int, limit: int, expected: list[tuple[int, int, float]]
) -> None:
    """The whole scan is estimated once, from 2,000 users on; until the end the fraction is below 1."""
    asked: list[str | None] = []

    def estimate(after: str | None) -> int:
        asked.append(after)
        return follow

    messages = sent(
        batches(1000, 1000, 1000, 1000, 1), pb.StreamUsersRequest(limit=limit), estimate
    )

    assert [(1000, 0, 0.0), (2000, 0, 0.0), *expected, (4001, 4001, 1.0)] == progress(messages)
    assert [key(2000)] == asked


def test_short_scans_are_not_estimated() -> None:
    """They are over before an estimate would help."""

    def estimate(_: str | None) -> int:
        raise AssertionError

    assert [(1999, 0, 0.0), (2999, 2999, 1.0)] == progress(
        sent(batches(1999, 1000), estimate=estimate)
    )


def test_a_resumed_scan_keeps_its_estimate() -> None:
    """It travels with the token, so that progress does not jump."""
    first = sent(batches(2000, 1000, 1), estimate=lambda _: 7000)[1]
    assert (3000, 9000) == (first.progress.users_sent, first.progress.estimated_users)
    request = pb.StreamUsersRequest(resume_token=first.resume_token)

    rest = sent(batches(1000, 1, before=3000), request, estimate=lambda _: 1)

    assert [(4000, 9000, 4000 / 9000), (4001, 4001, 1.0)] == progress(rest)


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
