"""Both our clients follow the rules of every scenario, and the conformance server sees when a client does not."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_conformance.__main__ import main
from userstream_conformance.catalogue import SCENARIOS
from userstream_conformance.judge import outcome_faults
from userstream_conformance.server import ConformanceServer
from userstream_conformance.vectors import vectors
from userstream_testing.client_runs import KINDS
from userstream_testing.conformance_runs import run_scenario
from userstream_testing.repository import ROOT

pytestmark = pytest.mark.slow

FOLDER = ROOT / "protos/userstream/v1/conformance"


@pytest.fixture(scope="module")
def server() -> Iterator[ConformanceServer]:
    with ConformanceServer() as started:
        yield started


@pytest.fixture
def stub(server: ConformanceServer) -> Iterator[UserServiceStub]:
    with grpc.insecure_channel(server.target) as channel:
        yield UserServiceStub(channel)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("kind", KINDS)
def test_our_clients_conform(server: ConformanceServer, kind: str, name: str) -> None:
    """What the server saw on the wire and what the client reported are both as they must be."""
    scenario = SCENARIOS[name]
    report = run_scenario(kind, server.target, scenario)

    assert [] == outcome_faults(scenario.outcome, report)
    assert [] == server.runs[f"{name}:{kind}"].faults()


def test_the_vectors_are_fresh() -> None:
    """The committed files are those of scripts/conformance_vectors.py."""
    committed = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}

    assert vectors() == committed


def ask(stub: UserServiceStub, run: str, **fields: Any) -> grpc.StatusCode:
    """Make one StreamUsers call to its end; return its status."""
    request = pb.StreamUsersRequest(
        filter=pb.UserFilter(name_prefix=f"conformance:{run}"), **fields
    )
    call = stub.StreamUsers(request, timeout=10)
    with contextlib.suppress(grpc.RpcError):
        list(call)
    code: grpc.StatusCode = call.code()
    return code


WRONG_CALLS: dict[str, tuple[str, list[dict[str, Any]], str]] = {
    "no resume": ("unavailable", [{}], "stopped too early"),
    "from the start again": ("unavailable", [{}, {}], "its token is '', not 'after:4'"),
    "fields changed": (
        "unavailable",
        [{}, {"resume_token": "after:4", "limit": 3}],
        "not those of the first call",
    ),
    "RetryInfo ignored": ("retry-info", [{}, {"resume_token": "after:4"}], "RetryInfo said 0.3 s"),
    "retried a final error": ("internal", [{}, {}], "did not stop"),
    "called after the receipt": ("after-the-receipt", [{}, {}], "did not stop"),
    "limit not sent": ("over-the-limit", [{}], "its limit is not 5"),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_the_server_sees_what_is_wrong(
    server: ConformanceServer, stub: UserServiceStub, case: str
) -> None:
    """A client that breaks a rule fails the run, and the report says which rule."""
    scenario, calls, fault = WRONG_CALLS[case]
    run = f"{scenario}:wrong {case}"
    for fields in calls:
        ask(stub, run, **fields)

    assert any(fault in line for line in server.runs[run].faults())


def test_an_open_call_is_a_fault(
    server: ConformanceServer, stub: UserServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that never ends a stalled call is found."""
    monkeypatch.setattr("userstream_conformance.judge._END_SECONDS", 0.1)
    request = pb.StreamUsersRequest(filter=pb.UserFilter(name_prefix="conformance:cancel:wrong"))
    call = stub.StreamUsers(request)
    next(call)

    assert ["call 1: the client did not end it"] == server.runs["cancel:wrong"].faults()
    call.cancel()


def test_an_unknown_scenario_is_refused(stub: UserServiceStub) -> None:
    """A misspelt name is INVALID_ARGUMENT, not a scenario that passes."""
    assert ask(stub, "wholly") is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "change",
    [
        {"result": "integrity"},
        {"user_count": 6},
        {"user_count": 8},
        {"user_id_crc32": 1},
    ],
    ids=str,
)
def test_wrong_reports_are_found(change: dict[str, Any]) -> None:
    """A client that says something else than what happened is found."""
    outcome = SCENARIOS["whole"].outcome
    right = {"result": "complete", "user_count": 7, "user_id_crc32": outcome.user_id_crc32}

    assert [] == outcome_faults(outcome, right)
    assert [] != outcome_faults(outcome, right | change)


def test_the_command_reports(tmp_path: Any) -> None:
    """SIGTERM ends it with a line for each run, a JSON file, and exit code 1 after a wrong run."""
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", "userstream_conformance", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--report", str(file)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        target = process.stdout.readline().split()[-1]
        with grpc.insecure_channel(target) as channel:
            ask(UserServiceStub(channel), "whole")
            ask(UserServiceStub(channel), "unavailable")
        process.terminate()
        output = process.stdout.read()
        assert process.wait(20) == 1

    assert "pass  whole" in output
    assert "FAIL  unavailable" in output
    assert json.loads(file.read_text("utf-8"))["runs"]["whole"] == []


def test_the_command_without_a_run_fails() -> None:
    """Nothing proven is not a success; it stops by itself."""
    begin = time.monotonic()

    assert main(["--listen", "127.0.0.1:0", "--seconds", "0.1"]) == 1
    assert time.monotonic() - begin < 10


def test_the_command_lists(capsys: pytest.CaptureFixture[str]) -> None:
    """--list has a line for each scenario."""
    assert main(["--list"]) == 0
    assert len(SCENARIOS) == len(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:no", "192.0.2.1:1"])
def test_the_command_with_a_bad_address(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line that says which."""
    assert main(["--listen", address]) == 2
    assert f"cannot listen on {address}" in capsys.readouterr().err


def test_the_command_with_a_port_in_use(capfd: pytest.CaptureFixture[str]) -> None:
    """One line that says what to do, and none of gRPC's own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert main(["--listen", address]) == 2

    assert capfd.readouterr().err == (
        f"userstream-conformance: cannot listen on {address}: Address already in use;"
        " give another address with --listen\n"
    )
