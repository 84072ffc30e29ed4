"""Faults 2, 3 and 5 for each streaming call of both clients, and for the limits that end what cannot go on."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from userstream_client import DeadlineExceededError, UserStreamClient
from userstream_testing.client_runs import KINDS, PATIENT, read_users
from userstream_testing.every_call import CALLS, everything, held
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess

# Within the greeting, within the answer's headers, and behind one message or a few.
CUTS = (1, 70, 150, 900, 1_300, 2_000, 1_500, 3_000, 1_200)
# In short runs each call by one client only, each client with two calls.
EACH = [
    pytest.param(call, kind, marks=[pytest.mark.long] if (number + turn) % 2 else [])
    for number, call in enumerate(CALLS)
    for turn, kind in enumerate(KINDS)
]
REQUEST_CUTS = (1, 40, 200, 350)


@pytest.fixture(scope="module")
def servers(small_servers: tuple[ServerProcess, ServerProcess]) -> tuple[int, ...]:
    """Return the ports of two servers over the same 300 users."""
    return tuple(server.port for server in small_servers)


@pytest.mark.parametrize(("call", "kind"), EACH)
def test_each_call_goes_on_at_another_server(
    servers: tuple[int, ...], small_url: str, faults: FaultReport, call: str, kind: str
) -> None:
    """Broken at many places on either way, and answered by another server each time, a call brings everyone once."""
    with FaultProxy(*servers) as proxy:
        proxy.plans.extend(Plan(cut_request_after=after) for after in REQUEST_CUTS)
        proxy.plans.extend(Plan(cut_after=after, reset=after % 20 == 0) for after in CUTS)
        with faults.round(f"2 {call} cut, resumed at another server"):
            assert held(small_url, call) == everything(kind, proxy.target, call, resume=PATIENT)
        # The averages are one message, so a few cuts are all that can hit them.
        assert len(proxy.passed) > (4 if call == "StreamAverageAge" else 8)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_each_call_leaves_a_hanging_connection(
    servers: tuple[int, ...], small_url: str, faults: FaultReport, call: str, kind: str
) -> None:
    """A connection that falls silent, at once or later, is given up after the attempt's limit."""
    with FaultProxy(*servers) as proxy:
        proxy.plans.extend(Plan(hang_after=after) for after in (90, 1_000))
        with faults.round(f"5 {call} on connections that hang"):
            found = everything(
                kind, proxy.target, call, resume=PATIENT, attempt_timeout_seconds=0.4
            )

        assert held(small_url, call) == found


@pytest.mark.parametrize("kind", ["sync", pytest.param("async", marks=pytest.mark.long)])
def test_the_whole_calls_limit_holds(
    servers: tuple[int, ...], faults: FaultReport, kind: str
) -> None:
    """Where every connection hangs, a call ends at its own limit, not at the sum of its attempts'."""
    with FaultProxy(*servers) as proxy:
        proxy.plans.extend(Plan(hang_after=2_000) for _ in range(50))
        with faults.round("5 every connection hangs: the call's limit holds"):
            begin = time.monotonic()
            seen = read_users(
                kind,
                proxy.target,
                resume=PATIENT,
                timeout_seconds=1.0,
                attempt_timeout_seconds=0.3,
                max_users_per_message=7,
            )
            took = time.monotonic() - begin

            assert isinstance(seen.error, DeadlineExceededError)
            assert 0.6 < took < 2.5
    assert seen.users


@pytest.mark.long
def test_a_single_answer_on_a_hanging_connection(
    servers: tuple[int, ...], small_url: str, faults: FaultReport
) -> None:
    """A call with one answer may take long and has no attempt's limit; gRPC's pings find out, and it is asked again."""
    with FaultProxy(*servers) as proxy, UserStreamClient(proxy.target, resume=PATIENT) as client:
        proxy.plans.append(Plan(hang_after=90))
        with faults.round("5 AverageAge on a connection that hangs"):
            answer = client.average_age()

        assert held(small_url, "StreamAverageAge") == [(answer.user_count, answer.age_sum)]


@pytest.mark.timeout(600)
@pytest.mark.long
@pytest.mark.parametrize("rounds", [15])
def test_each_call_outlives_its_server(
    small_url: str, tmp_path: Path, faults: FaultReport, rounds: int
) -> None:
    """SIGKILL in the middle of each call, then a new server on the same port: everyone exactly once."""
    expected = {call: held(small_url, call) for call in CALLS}
    settings = {"USERSTREAM_DATABASE_URL": small_url}
    with ServerProcess(settings, folder=tmp_path) as first:
        settings["USERSTREAM_LISTEN"] = f"127.0.0.1:{first.port}"
        server = first
        for _ in range(rounds):
            # The proxy's latency keeps every call busy until its server is gone.
            with FaultProxy(first.port) as proxy, ThreadPoolExecutor(8) as background:
                proxy.plans.extend(Plan(latency_seconds=0.05, slice_bytes=800) for _ in range(8))
                with faults.round("3 SIGKILL of the server under each call, restarted"):
                    asked = [
                        (
                            call,
                            background.submit(everything, kind, proxy.target, call, resume=PATIENT),
                        )
                        for call in CALLS
                        for kind in KINDS
                    ]
                    while sum(proxy.passed) < 20_000:
                        time.sleep(0.01)
                    server.kill()
                    server = ServerProcess(settings, folder=tmp_path)

                    assert [expected[call] for call, _ in asked] == [f.result(60) for _, f in asked]
                assert len(proxy.passed) > 8
        server.kill()
