"""Faults of the members of a replication group under streams that never resume, beside a writer."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from userstream_testing.admin import execute
from userstream_testing.fault_report import FaultReport
from userstream_testing.group import Group
from userstream_testing.group_streams import BEHIND_SECONDS, check, is_read_everywhere, read
from userstream_testing.group_writer import GroupWriter
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.waiting import until

FEW, MANY = 1, 20
STREAMS, STREAMS_LONG = 4, 8
NOTICED_SECONDS = 2.6
"""After so long a host that does not answer is known."""
PAUSE_SECONDS_MAX = 3.0


@contextmanager
def killed(_: Group, member: PrivateServer) -> Iterator[None]:
    member.kill()
    try:
        yield
    finally:
        member.start()


@contextmanager
def frozen(_: Group, member: PrivateServer) -> Iterator[None]:
    member.pause()
    try:
        yield
    finally:
        member.resume()


@contextmanager
def out_of_the_group(_: Group, member: PrivateServer) -> Iterator[None]:
    execute(member.url, "STOP GROUP_REPLICATION")
    yield


@contextmanager
def made_primary(group: Group, member: PrivateServer) -> Iterator[None]:
    ((uuid,),) = execute(member.url, "SELECT @@server_uuid")
    execute(group.cluster.primary.url, f"SELECT group_replication_set_as_primary('{uuid}')")
    yield


@contextmanager
def cut_off(group: Group, member: PrivateServer) -> Iterator[None]:
    proxy = group.proxies[group.cluster.servers.index(member)]
    proxy.cut_off()
    try:
        yield
    finally:
        proxy.restore()


FAULTS = {
    "12 SIGKILL of a database host": killed,
    "12 SIGSTOP of a database host": frozen,
    "12 STOP GROUP_REPLICATION at a database host": out_of_the_group,
    "12 another primary": made_primary,
    "12 network to a database host cut off": cut_off,
}


SHORT = ("12 SIGKILL of a database host", "12 STOP GROUP_REPLICATION at a database host")
"""One that is gone and one that answers and must not be read; the rest takes too long for every run."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "rounds"),
    [(name, FEW) for name in SHORT]
    + [pytest.param(name, MANY, marks=pytest.mark.long) for name in FAULTS],
)
def test_streams_go_on(whole_group: Group, faults: FaultReport, name: str, rounds: int) -> None:
    """Streams that never resume end OK, complete, verified and fresh, after a pause of 3 s at most."""
    group, rng = whole_group, random.Random(f"{name} {rounds}")
    worst, streams = 0.0, STREAMS if rounds == FEW else STREAMS_LONG
    for _ in range(rounds):
        start = group.reset()
        member = rng.choice(group.cluster.servers)
        with (
            faults.round(name),
            GroupWriter(group.primary_url, start) as writer,
            ThreadPoolExecutor(streams + 1) as background,
        ):
            time.sleep(1.2 * BEHIND_SECONDS)
            seen = [background.submit(read, group.server.target) for _ in range(streams)]
            down_before = len(group.server.events("host_down"))
            time.sleep(rng.uniform(0.2, 1.0))
            with FAULTS[name](group, member):
                time.sleep(NOTICED_SECONDS)
                # Who comes now must neither wait nor be sent there.
                seen.append(background.submit(read, group.server.target))
                time.sleep(1)
            is_noticed = len(group.server.events("host_down")) > down_before
            outcomes = [outcome.result(60) for outcome in seen]

            assert is_noticed or FAULTS[name] is made_primary
            for outcome in outcomes:
                check(outcome, start, writer)
            assert sum(write.end is not None for write in writer.writes) > 5
            pauses = [outcome.worst_pause for outcome in outcomes]
            assert max(pauses) < PAUSE_SECONDS_MAX
            assert pauses[-1] < 1
        worst = max(worst, *pauses)
        group.cluster.heal()
        until(lambda: is_read_everywhere(group))
    faults.notes[name] = f"{name}: worst pause of a stream {worst:.2f} s in {rounds} rounds"
