"""Faults 2 and 5: what a network can do to a stream, by a proxy between a real client and a real server."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_testing.client_runs import KINDS, PATIENT, read_users, verified
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess

EVERYONE = pb.UserFilter(age_over=-1)
# Twelve users in four messages each.
SMALL: dict[str, Any] = {
    "StreamUsers": pb.StreamUsersRequest(limit=12, max_users_per_message=3),
    "BatchUsers": pb.BatchUsersRequest(limit=12, batch_size=3, filter=EVERYONE),
    "Paginate": pb.PaginateRequest(page_size=3, page_limit=4),
}


@pytest.fixture(scope="module")
def server(small_servers: tuple[ServerProcess, ServerProcess]) -> ServerProcess:
    """Return a server over 300 users."""
    return small_servers[0]


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    """Yield a proxy before the server."""
    with FaultProxy(server.port) as opened:
        yield opened


@pytest.fixture(scope="module")
def user_ids(server: ServerProcess) -> list[str]:
    """Return the 300 user_ids in order."""
    return [user.user_id for user in read_users("sync", server.target).users]


def read_raw(target: str, name: str) -> tuple[grpc.StatusCode, list[str]]:
    """Read the small stream with no client of ours; return its status and what came."""
    got: list[str] = []
    # A connection of this call's own, given up at once when it breaks.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(target, options=options) as channel:
        call: Any = getattr(UserServiceStub(channel), name)(SMALL[name], timeout=20)
        try:
            for message in call:
                got += [user.user_id for user in message.users]
        except grpc.RpcError as error:
            return error.code(), got
        return grpc.StatusCode.OK, got


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("StreamUsers", 31),
        *(pytest.param(name, 1, marks=pytest.mark.long) for name in SMALL),
    ],
)
@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_after_every_byte(
    proxy: FaultProxy,
    faults: FaultReport,
    user_ids: list[str],
    name: str,
    step: int,
    reset: bool,  # noqa: FBT001
) -> None:
    """Wherever the connection is cut, the caller never sees OK with users missing, and never a user twice."""
    assert read_raw(proxy.target, name) == (grpc.StatusCode.OK, user_ids[:12])
    whole = proxy.passed[0]
    complete = 0
    for after in range(1, whole + 1, step):
        proxy.plans.append(Plan(cut_after=after, reset=reset))
        with faults.round(f"2 {name} {'reset' if reset else 'cut'} after every byte"):
            code, got = read_raw(proxy.target, name)

            assert got == user_ids[: len(got)]
            assert (code is grpc.StatusCode.OK) <= (len(got) == 12)
            complete += code is grpc.StatusCode.OK
    assert complete < whole / step / 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reset", [False, True])
def test_cuts_are_resumed(
    proxy: FaultProxy,
    faults: FaultReport,
    user_ids: list[str],
    kind: str,
    reset: bool,  # noqa: FBT001
) -> None:
    """A client whose connection breaks again and again still gets everyone once, and a receipt for it."""
    proxy.plans.extend(Plan(cut_after=after, reset=reset) for after in range(800, 16_000, 800))
    with faults.round("2 cut again and again, resumed by the client"):
        outcome = read_users(kind, proxy.target, resume=PATIENT, max_users_per_message=7)

        assert verified(outcome, user_ids), outcome.error
        assert outcome.receipt is not None
        assert outcome.receipt.resumed_count > 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_hanging_connection(
    proxy: FaultProxy, faults: FaultReport, user_ids: list[str], kind: str
) -> None:
    """A connection that falls silent is given up after the attempt's limit, and the stream goes on over a new one."""
    proxy.plans.append(Plan(hang_after=2_000))
    with faults.round("5 connection hangs"):
        outcome = read_users(
            kind,
            proxy.target,
            resume=PATIENT,
            attempt_timeout_seconds=0.7,
            max_users_per_message=7,
        )

        assert verified(outcome, user_ids), outcome.error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("5 latency of 20 ms a piece", Plan(latency_seconds=0.02)),
        ("5 slices of 3 bytes", Plan(slice_bytes=3)),
    ],
)
def test_slow_and_sliced(
    proxy: FaultProxy,
    faults: FaultReport,
    user_ids: list[str],
    kind: str,
    name: str,
    plan: Plan,
) -> None:
    """Latency and tiny pieces change nothing but the time."""
    proxy.plans.append(plan)
    with faults.round(name):
        outcome = read_users(kind, proxy.target, resume=PATIENT)

        assert verified(outcome, user_ids), outcome.error
