"""Calls that outlast the drain time end with a status that says what to do, whatever they were doing."""

import threading
import time
from pathlib import Path
from signal import SIGTERM

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.calls import RichError, rich_error, stub_for
from userstream_testing.processlist import locked_table
from userstream_testing.server_process import ServerProcess

SETTINGS = {"USERSTREAM_DRAIN_SECONDS": "0.5", "USERSTREAM_DRAIN_NOTICE_SECONDS": "0"}


def assert_says_to_resume(error: RichError) -> None:
    assert (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING") == (error.code, error.info.reason)
    assert error.retry_seconds is not None


@pytest.mark.parametrize("users_per_message", [0, 1, 500])
def test_a_slow_consumer_gets_the_status_behind_its_users(
    reader_url: str, tmp_path: Path, users_per_message: int
) -> None:
    """It reads what was sent, then UNAVAILABLE with details: not what a cut connection would be."""
    settings = {**SETTINGS, "USERSTREAM_DATABASE_URL": reader_url}
    request = pb.StreamUsersRequest(max_users_per_message=users_per_message)
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        call = stub.StreamUsers(request)
        next(call)
        server.process.send_signal(SIGTERM)
        time.sleep(1.5)
        error = rich_error(call)
        assert server.process.wait(20) == 0

    assert_says_to_resume(error)


def test_a_query_that_waits(mysql_database: str, tmp_path: Path) -> None:
    """A call without any message yet is ended as well, while its query waits for a lock."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 10)
    settings = {**SETTINGS, "USERSTREAM_DATABASE_URL": mysql_database}
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        with locked_table(mysql_database):
            call = stub.AverageAge.future(pb.AverageAgeRequest())
            time.sleep(0.3)
            server.process.send_signal(SIGTERM)
            failure = call.exception(timeout=10)
        assert server.process.wait(20) == 0

    assert_says_to_resume(RichError(failure))


def test_new_calls_are_accepted_during_the_notice(reader_url: str, tmp_path: Path) -> None:
    """Balancers that have not noticed yet lose nothing."""
    settings = {
        "USERSTREAM_DATABASE_URL": reader_url,
        "USERSTREAM_DRAIN_NOTICE_SECONDS": "2",
    }
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        stub.AverageAge(pb.AverageAgeRequest())
        stopping = threading.Thread(target=server.terminate)
        stopping.start()
        time.sleep(0.5)
        answer = stub.AverageAge(pb.AverageAgeRequest())
        stopping.join()

    assert answer.user_count > 0
