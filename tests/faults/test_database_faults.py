"""Faults 4 and 7: queries killed or over their time, and no connection left."""

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import grpc
import mysql.connector
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_testing.admin import admin_connection, execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.client_runs import KINDS, PATIENT, read_users, verified
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.processlist import RUNNING, locked_table, until_running
from userstream_testing.server_process import ServerProcess, serving


@pytest.fixture(scope="module")
def user_ids(large_url: str) -> list[str]:
    """Return the large table's user_ids in order."""
    return [row[0] for row in execute(large_url, "SELECT user_id FROM user_data ORDER BY user_id")]


class Killer:
    """Kills the service's running queries from another connection, until told to stop."""

    def __init__(self, url: str, what: str, most: int) -> None:
        self._url, self._what, self._most = url, what, most
        self.kills = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(admin_connection(self._url)) as connection, connection.cursor() as cursor:
            while not self._stop.is_set() and self.kills < self._most:
                cursor.execute(RUNNING)
                for number, _ in cursor.fetchall():
                    try:
                        cursor.execute(f"{self._what} {number}")
                        self.kills += 1
                    except mysql.connector.Error:
                        pass  # it had ended meanwhile
                time.sleep(0.002)


def read_raw(target: str) -> tuple[grpc.StatusCode, list[str]]:
    """Read everybody without resuming; return the status and the user_ids."""
    got: list[str] = []
    with stub_for(target) as stub:
        try:
            for message in stub.StreamUsers(pb.StreamUsersRequest(), timeout=60):
                got += [user.user_id for user in message.users]
        except grpc.RpcError as error:
            return error.code(), got
        return grpc.StatusCode.OK, got


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("what", ["KILL QUERY", "KILL CONNECTION"])
def test_killed_mid_stream(
    large_url: str,
    large_server: ServerProcess,
    faults: FaultReport,
    user_ids: list[str],
    what: str,
    rounds: int,
) -> None:
    """A killed query ends its stream with an error, and what came before is an exact prefix."""
    statuses: list[grpc.StatusCode] = []
    # On a busy machine a query may end before its killer sees it: until enough were hit, more rounds.
    while len(statuses) < rounds or statuses.count(grpc.StatusCode.UNAVAILABLE) < rounds / 2:
        with faults.round(f"4 {what} mid-stream"):
            with Killer(large_url, what, most=1):
                status, got = read_raw(large_server.target)
            statuses.append(status)

            assert got == user_ids[: len(got)]
            assert (status is grpc.StatusCode.OK) == (len(got) == len(user_ids))
    assert set(statuses) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("KILL QUERY", "sync"),
        ("KILL CONNECTION", "async"),
        pytest.param("KILL QUERY", "async", marks=pytest.mark.long),
        pytest.param("KILL CONNECTION", "sync", marks=pytest.mark.long),
    ],
)
def test_killed_again_and_again(
    large_url: str,
    large_server: ServerProcess,
    faults: FaultReport,
    user_ids: list[str],
    what: str,
    kind: str,
) -> None:
    """The client goes on after each kill and ends with a verified whole."""
    with faults.round(f"4 {what} five times, resumed"):
        with Killer(large_url, what, most=5) as killer:
            outcome = read_users(kind, large_server.target, resume=PATIENT)
            while not killer.kills:
                outcome = read_users(kind, large_server.target, resume=PATIENT)

        assert verified(outcome, user_ids), outcome.error


@pytest.mark.parametrize("kind", KINDS)
def test_time_limit_mid_stream(
    large_url: str, tmp_path: Path, faults: FaultReport, user_ids: list[str], kind: str
) -> None:
    """A chunk over the query's time limit ends DEADLINE_EXCEEDED behind an exact prefix; a patient server goes on."""
    with (
        serving(large_url, tmp_path, QUERY_TIMEOUT_SECONDS=0.004) as hasty,
        serving(large_url, tmp_path) as patient,
        faults.round("4 max_execution_time mid-stream, resumed elsewhere"),
    ):
        cut = read_users(kind, hasty.target, resume=None)
        got = [user.user_id for user in cut.users]

        assert got == user_ids[: len(got)]
        assert len(got) < len(user_ids)
        assert cut.error is not None
        assert cut.error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        rest = read_users(kind, patient.target, resume_token=cut.checkpoint)
        assert user_ids == got + [user.user_id for user in rest.users]
        assert rest.receipt is not None
        assert rest.receipt.user_count == len(user_ids)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_net_write_timeout(huge_url: str, tmp_path: Path, faults: FaultReport) -> None:
    """MySQL gives up on a server that is frozen mid-query: UNAVAILABLE behind an exact prefix, and resumed."""
    expected = [row[0] for row in execute(huge_url, "SELECT user_id FROM user_data ORDER BY 1")]
    settings = {"NET_WRITE_TIMEOUT_SECONDS": 1, "CHUNK_ROWS_MAX": 400_000}
    hits = rounds = 0
    with serving(huge_url, tmp_path, **settings) as server, ThreadPoolExecutor(1) as background:
        # Now and then a query is over before its server freezes: until enough were hit, more rounds.
        while hits < 5:
            assert (rounds := rounds + 1) <= 30
            with faults.round("4 server frozen over net_write_timeout, resumed"):
                reading = background.submit(read_users, "sync", server.target, resume=PATIENT)
                _freeze_in_query(huge_url, server, reading)

                assert verified(reading.result(60), expected)
            receipt = reading.result().receipt
            hits += receipt is not None and receipt.resumed_count > 0
        code = grpc.StatusCode.OK
        while code is grpc.StatusCode.OK:
            assert (rounds := rounds + 1) <= 60
            with faults.round("4 server frozen over net_write_timeout, not resumed"):
                raw = background.submit(read_raw, server.target)
                _freeze_in_query(huge_url, server, raw)
                code, got = raw.result(60)

                assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
                assert expected[: len(got)] == got
                assert (code is grpc.StatusCode.OK) == (len(got) == len(expected))


def _freeze_in_query(url: str, server: ServerProcess, reading: "Future[Any]") -> None:
    """Freeze a server for 3 s while it runs a query of a hundred thousand rows and more, unless it is done before."""
    with closing(admin_connection(url)) as connection, connection.cursor() as cursor:
        while not reading.done():
            cursor.execute(f"{RUNNING} AND info LIKE '%LIMIT ______'")
            if cursor.fetchall():
                os.kill(server.process.pid, signal.SIGSTOP)
                time.sleep(3)
                os.kill(server.process.pid, signal.SIGCONT)
                return
            time.sleep(0.002)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_to_the_database_hangs(
    large_url: str, tmp_path: Path, faults: FaultReport, user_ids: list[str], kind: str
) -> None:
    """The server gives it up 10 s after the query's own limit; its place in the pool is free then; all is resumed."""
    ((host, port),) = DatabaseUrl.parse(large_url).hosts
    with FaultProxy(port) as proxy:
        url = large_url.replace(f"{host}:{port}", proxy.target)
        settings = {"QUERY_TIMEOUT_SECONDS": 1, "POOL_SIZE": 2, "SNAPSHOT_VIEWS_MAX": 1}
        with serving(url, tmp_path, **settings) as server:
            proxy.plans.extend(Plan(hang_after=300_000) for _ in range(2))
            with faults.round("5 connection to the database hangs"):
                outcome = read_users(kind, server.target, resume=PATIENT)

                assert verified(outcome, user_ids), outcome.error
            assert len(proxy.passed) > 2
            assert verified(read_users(kind, server.target), user_ids)


@pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.long)])
def test_no_connection_left(
    small_url: str, tmp_path: Path, faults: FaultReport, rounds: int
) -> None:
    """With the pool in use a call is RESOURCE_EXHAUSTED with RetryInfo after the wait, and those before it finish."""
    settings = {"POOL_SIZE": 2, "SNAPSHOT_VIEWS_MAX": 1, "POOL_WAIT_SECONDS": 0.5}

    def first_message(stub: Any) -> int:
        return sum(len(m.users) for m in stub.StreamUsers(pb.StreamUsersRequest(), timeout=30))

    with (
        serving(small_url, tmp_path, **settings) as server,
        stub_for(server.target) as stub,
        ThreadPoolExecutor(2) as background,
    ):
        for _ in range(rounds):
            with faults.round("7 pool exhausted"):
                with locked_table(small_url):
                    waiting = [background.submit(first_message, stub) for _ in range(2)]
                    until_running(small_url, 2)
                    begin = time.monotonic()
                    with pytest.raises(grpc.RpcError) as caught:
                        first_message(stub)
                    seconds = time.monotonic() - begin
                error = rich_error(caught.value)

                assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "POOL_EXHAUSTED") == (
                    error.code,
                    error.info.reason,
                )
                assert error.retry_seconds is not None
                assert 0.4 < seconds < 2
                assert [300, 300] == [call.result(30) for call in waiting]
