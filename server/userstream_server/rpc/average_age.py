"""Average ages without SQL AVG(): only the age column travels, and whole numbers are counted and summed exactly."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from time import monotonic

from userstream.v1 import user_service_pb2 as pb

from userstream_server.call_stats import current_call_stats
from userstream_server.errors import PreconditionError
from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan
from userstream_server.rpc.key_order import check_order
from userstream_server.rpc.progress import ScanProgress
from userstream_server.rpc.tokens import Position, encode_token
from userstream_server.rpc.validation import AgesPlan

__all__ = ["average", "running_average", "running_message"]

_RANGE_USERS = 100_000
"""Users counted between two possible messages: some tenths of a second."""
_INTERVAL_SECONDS = 1.0
_INT64_MAX = 2**63 - 1


def average(users: Users, scan: Scan, *, histogram: bool) -> pb.AverageAgeResponse:
    """Read all ages of a scan and return their exact figures.

    Args:
        users: Where to read.
        scan: Which users.
        histogram: Also return how many users there are of each age.

    Raises:
        PreconditionError: The sum does not fit the response's 64 bits.
    """
    counts = _count(users, scan)
    user_count, age_sum = sum(counts.values()), _age_sum(counts)
    response = pb.AverageAgeResponse(user_count=user_count, age_sum=age_sum)
    if user_count:
        response.average_age = age_sum / user_count
    if histogram:
        response.histogram.extend(
            pb.AgeCount(age=age, user_count=n) for age, n in sorted(counts.items())
        )
    return response


def running_average(
    users: Users, plan: AgesPlan, progress: ScanProgress
) -> Iterator[pb.StreamAverageAgeResponse]:
    """Yield running figures about once a second, and final ones at the end.

    The scan goes range by range. Each range is counted completely before anything is yielded, so a token
    states exactly what its figures cover, and a stalled consumer holds nothing.

    Args:
        users: Where to read.
        plan: What to read, and the figures so far.
        progress: Estimates the scan's end.

    Raises:
        PreconditionError: The sum does not fit the response's 64 bits.
    """
    check_order(users, "resume_token", plan.position)
    position, scan = replace(plan.position, order=users.table.order), plan.scan
    current_call_stats().resumed = position.resumed_count > 0
    sent_at = monotonic()
    is_last = False
    while not is_last:
        end = users.boundary(scan, _RANGE_USERS)
        if is_last := end is None:
            end = users.last_key(scan)
        if end is not None:
            position = _advance(position, _count(users, replace(scan, up_to=end)), end)
            position.freshness = users.freshness
            scan = scan.beginning_after(end)
        if not is_last and monotonic() - sent_at >= _INTERVAL_SECONDS:
            progress.advance(position.user_count, position.after or "")
            position = replace(position, estimated_users=progress.estimated_users)
            yield running_message(plan, position, fraction=progress.fraction)
            sent_at = monotonic()
    users.refuse_changed_table(scan)
    yield running_message(plan, position, fraction=1.0)


def _count(users: Users, scan: Scan) -> Counter[int]:
    """Count the ages of a scan."""
    stats = current_call_stats()
    rows_before = stats.rows

    def read() -> Counter[int]:
        counts: Counter[int] = Counter()
        with closing(users.stream_user_ages(scan, counted=True)) as steps:
            for step in steps:
                counts.update(step)
                # What another host reads once more is no further row.
                stats.rows = max(stats.rows, rows_before + counts.total())
        return counts

    return users.with_failover(read)


def _age_sum(counts: Counter[int], so_far: int = 0) -> int:
    total = so_far + sum(age * n for age, n in counts.items())
    if abs(total) > _INT64_MAX:
        raise PreconditionError(
            "AGE_SUM_TOO_LARGE", "The sum of the ages is beyond 64 bits. Ask with a filter."
        )
    return total


def _advance(position: Position, counts: Counter[int], after: str) -> Position:
    return replace(
        position,
        after=after,
        user_count=position.user_count + sum(counts.values()),
        age_sum=_age_sum(counts, position.age_sum),
    )


def running_message(
    plan: AgesPlan, position: Position, *, fraction: float
) -> pb.StreamAverageAgeResponse:
    """Return the message for figures so far; a `fraction` of 1 says that they cover every user."""
    count, final = position.user_count, fraction == 1
    estimated = count if final else position.estimated_users
    response = pb.StreamAverageAgeResponse(
        user_count=count,
        age_sum=position.age_sum,
        resume_token=encode_token(plan.bound_to, position),
        final=final,
        progress=pb.StreamProgress(
            users_sent=count,
            estimated_users=estimated,
            fraction=fraction,
        ),
    )
    if count:
        response.average_age = position.age_sum / count
    return response
