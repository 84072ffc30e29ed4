"""A member without its majority is not read, and one that is rebuilt by cloning is read when it is whole."""

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.fault_report import FaultReport
from userstream_testing.group import Group
from userstream_testing.group_streams import (
    BEHIND_SECONDS,
    Seen,
    check,
    hosts_read,
    is_read_everywhere,
    read,
)
from userstream_testing.group_writer import GroupWriter
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

STREAMS, ROUNDS = 4, 5
MINORITY = "12 two of three database hosts frozen"
CLONE = "12 database host rebuilt by a clone"
NOTICED_SECONDS = 15
"""The group takes 5 s to call a silent member unreachable."""


def test_a_minority_is_not_read(whole_group: Group, faults: FaultReport) -> None:
    """Of three members two are frozen: the third answers, and is left out, as it may miss what others commit."""
    group, rng = whole_group, random.Random(MINORITY)
    for _ in range(ROUNDS):
        start = group.reset()
        alone, *others = rng.sample(group.cluster.servers, 3)
        with (
            faults.round(MINORITY),
            GroupWriter(group.primary_url, start) as writer,
            ThreadPoolExecutor(STREAMS) as background,
        ):
            time.sleep(1.2 * BEHIND_SECONDS)
            seen = [background.submit(read, group.server.target) for _ in range(STREAMS)]
            time.sleep(rng.uniform(0.2, 1.0))
            with ExitStack() as frozen:
                for member in others:
                    member.pause()
                    frozen.callback(member.resume)
                until(lambda: hosts_read(group) == 0, NOTICED_SECONDS)
                assert "minority" in why_left_out(group, alone)
                check_refused(group)
            for outcome in seen:
                check_ended(outcome, start, writer)
        group.cluster.heal()
        until(lambda: is_read_everywhere(group))


def why_left_out(group: Group, member: PrivateServer) -> str:
    """Return what the log says of a member that was left out last."""
    target = group.proxies[group.cluster.servers.index(member)].target
    downs = [event for event in group.server.events("host_down") if event["host"] == target]
    return str(downs[-1]["message"])


def check_refused(group: Group) -> None:
    """A new call does not wait: no host may be read."""
    began_at = time.monotonic()
    with stub_for(group.server.target) as stub:
        error = rich_error(stub.StreamUsers(pb.StreamUsersRequest()))

    assert (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE") == (error.code, error.info.reason)
    assert time.monotonic() - began_at < 2


def check_ended(outcome: Future[Seen], start: list[str], writer: GroupWriter) -> None:
    """A stream that was under way ends whole, or UNAVAILABLE; never OK with something missing."""
    error = outcome.exception(60)
    if isinstance(error, grpc.RpcError):
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        return
    check(outcome.result(), start, writer)


def test_a_member_that_is_cloned(whole_group: Group, faults: FaultReport) -> None:
    """Empty and while it clones it is not read; streams go on at the others, and it comes back by itself."""
    group, rng = whole_group, random.Random(CLONE)
    for _ in range(ROUNDS):
        start = group.reset()
        member = rng.choice(group.cluster.servers)
        with (
            faults.round(CLONE),
            GroupWriter(group.primary_url, start) as writer,
            ThreadPoolExecutor(STREAMS + 1) as background,
        ):
            time.sleep(1.2 * BEHIND_SECONDS)
            seen = [background.submit(read, group.server.target) for _ in range(STREAMS)]
            time.sleep(rng.uniform(0.2, 1.0))
            rebuilt = threading.Event()
            later = background.submit(read_until, rebuilt, group)
            # In this thread: a server ends with the thread that started it.
            try:
                member.restart_empty()
                group.cluster.rebuild(member)
            finally:
                rebuilt.set()
            for meanwhile in later.result(60):
                check(meanwhile, start, writer)
            for outcome in seen:
                check(outcome.result(60), start, writer)
        group.cluster.heal()
        until(lambda: is_read_everywhere(group))


def read_until(rebuilt: threading.Event, group: Group) -> list[Seen]:
    """Read everybody again and again; the last stream begins before the member is back."""
    seen = []
    while not rebuilt.is_set():
        seen.append(read(group.server.target))
    return seen
