"""BatchGetUsers: how long a caller waits for some users by id."""

import random
import time
from statistics import quantiles
from typing import Any

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1 import user_service_pb2_grpc

from benchmarks import report
from benchmarks.arena import Arena

__all__ = ["run"]

_CALLS = {1: 2000, 10: 1000, 100: 500, 1000: 100}
_WARM_UP_CALLS = 20
_IDS_READ = 20_000
_GOAL_MILLISECONDS = 2.0
_HEAD = ("ids in a call", "calls", "p50, ms", "p99, ms", "users/s", "goal", "")


def run(arena: Arena, *, rows: int) -> report.Section:
    """Look random users up, one call after the other."""
    target = arena.server("userstream", arena.mysql.table(rows)).target
    with grpc.insecure_channel(target) as channel:
        stub = user_service_pb2_grpc.UserServiceStub(channel)
        ids = _some_ids(stub)
        lines = [_line(_milliseconds(stub, ids, count), count) for count in _CALLS]
    body = [
        f"One caller, one call after the other, random users of {rows:,} (a Python stub):",
        report.table(_HEAD, lines),
    ]
    return report.Section("lookups", body)


def _some_ids(stub: Any) -> list[str]:
    """Return ids from all over the table."""
    split = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=20)).partitions
    requests = [
        pb.StreamUsersRequest(partition=part.partition, limit=_IDS_READ // len(split))
        for part in split
    ]
    messages = [message for request in requests for message in stub.StreamUsers(request)]
    return [user.user_id for message in messages for user in message.users]


def _milliseconds(stub: Any, ids: list[str], count: int) -> list[float]:
    chosen = random.Random(7)
    taken = []
    for number in range(_CALLS[count] + _WARM_UP_CALLS):
        request = pb.BatchGetUsersRequest(user_ids=chosen.sample(ids, count))
        begin = time.perf_counter()
        response = stub.BatchGetUsers(request)
        seconds = time.perf_counter() - begin
        if len(response.users) != count:
            raise RuntimeError(f"{len(response.users)} of {count} users were found.")
        if number >= _WARM_UP_CALLS:
            taken.append(seconds * 1000)
    return taken


def _line(taken: list[float], count: int) -> list[str]:
    shares = quantiles(taken, n=100)
    middle = shares[49]
    goal, met = "", ""
    if count == 1:
        goal = f"p50 below {_GOAL_MILLISECONDS:.0f} ms"
        met = "met" if middle < _GOAL_MILLISECONDS else "**missed**"
    speed = count * len(taken) / sum(taken) * 1000
    return [
        f"{count:,}",
        f"{len(taken):,}",
        f"{middle:.2f}",
        f"{shares[98]:.2f}",
        f"{speed:,.0f}",
        goal,
        met,
    ]
