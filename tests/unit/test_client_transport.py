"""What gRPC makes of streams that break below it, and that each such break is resumed."""

import threading

import grpc
import pytest
from userstream_client import ResumePolicy
from userstream_testing.client_runs import KINDS, QUICK, Outcome, read_users
from userstream_testing.resetting_server import Break, ResettingServer
from userstream_testing.scripted_server import (
    Hang,
    ScriptedServer,
    made_users,
    scan_script,
)

USERS = made_users(4)
BREAKS = {
    "NO_ERROR": (Break(reset_code=0), "INTERNAL"),
    "PROTOCOL_ERROR": (Break(reset_code=1), "INTERNAL"),
    "INTERNAL_ERROR": (Break(reset_code=2), "INTERNAL"),
    "FLOW_CONTROL_ERROR": (Break(reset_code=3), "INTERNAL"),
    "REFUSED_STREAM": (Break(reset_code=7), "UNAVAILABLE"),
    "CANCEL": (Break(reset_code=8), "CANCELLED"),
    "ENHANCE_YOUR_CALM": (Break(reset_code=11), "RESOURCE_EXHAUSTED"),
    "closed": (Break(), "UNAVAILABLE"),
    "GOAWAY": (Break(goaway_code=0), "UNAVAILABLE"),
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("kind", KINDS)
def test_breaks_of_the_transport_are_tried_again(kind: str, name: str) -> None:
    """Each has the status that gRPC gives it, and is tried again before that is raised."""
    how, code = BREAKS[name]
    with ResettingServer(how) as server:
        seen = read_users(kind, server.target)

    assert seen.error is not None
    assert grpc.StatusCode[code] is seen.error.code
    assert server.stream_count >= QUICK.attempts


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_restarts_is_found_again(kind: str) -> None:
    """A stream goes on at the server that took the place of the one it began at."""
    resume = ResumePolicy(attempts=30, max_backoff_seconds=0.2)
    seen: list[Outcome] = []
    with ScriptedServer(scan_script(USERS, Hang(), messages=1)) as first:
        target = first.target
        thread = threading.Thread(
            target=lambda: seen.append(read_users(kind, target, resume=resume))
        )
        thread.start()
        first.wait_until_hanging()
    with ScriptedServer(scan_script(USERS), port=first.port) as second:
        thread.join(30)

    assert [user.user_id for user in USERS] == [user.user_id for user in seen[0].users]
    assert "after:2" == second.calls[0].request.resume_token
