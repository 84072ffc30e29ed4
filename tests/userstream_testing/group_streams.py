"""Streams over a replication group that never resume, and what must be true of those that end OK."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from userstream.v1 import user_service_pb2 as pb

from userstream_testing.calls import stub_for
from userstream_testing.group import Group
from userstream_testing.group_writer import GroupWriter, Row, check_fresh
from userstream_testing.scrapes import scrape

__all__ = ["BEHIND_SECONDS", "Seen", "check", "hosts_read", "is_read_everywhere", "read"]

BEHIND_SECONDS = 1.0
"""How far a member may be behind when a stream begins."""
_MESSAGE_SECONDS = 0.02
"""A consumer's pause after each message, so that a stream outlives the fault."""


@dataclass
class Seen:
    """What a caller saw of a stream that ended OK.

    Attributes:
        began_at: When it was opened.
        rows: In the order they came.
        receipt: The last message's.
        worst_pause: The longest wait for a message, in seconds.
    """

    began_at: float
    rows: list[Row]
    receipt: pb.StreamReceipt
    worst_pause: float


def read(target: str) -> Seen:
    """Read everybody, slowly and without resuming."""
    began_at, rows, worst = time.monotonic(), list[Row](), 0.0
    with stub_for(target) as stub:
        call = stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=40), timeout=60)
        asked_at = time.monotonic()
        for message in call:
            worst = max(worst, time.monotonic() - asked_at)
            rows += [(user.user_id, user.name) for user in message.users]
            time.sleep(_MESSAGE_SECONDS)
            asked_at = time.monotonic()
        return Seen(began_at, rows, message.receipt, worst)


def check(outcome: Seen, start: Sequence[str], writer: GroupWriter) -> None:
    """Hold a stream against its receipt and against what was written."""
    ids = [user_id for user_id, _ in outcome.rows]
    receipt = outcome.receipt

    assert sorted(set(ids)) == ids, "out of order, or twice"
    assert (len(ids), crc32("".join(ids).encode())) == (receipt.user_count, receipt.user_id_crc32)
    assert (0, pb.FRESHNESS_KEPT) == (receipt.resumed_count, receipt.freshness)
    check_fresh(start, list(writer.writes), outcome.began_at - BEHIND_SECONDS, outcome.rows)


def is_read_everywhere(group: Group) -> bool:
    """Say whether the service reads all members again."""
    return hosts_read(group) == len(group.cluster.servers)


def hosts_read(group: Group) -> int:
    """Return how many members the service reads."""
    return int(scrape(group.server).total("userstream_database_host_up"))
