"""examples/service passes on what belongs to its caller, and a break of userstream does not reach the caller."""

import importlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.repository import ROOT
from userstream_testing.scripted_server import (
    Fail,
    Hang,
    ScriptedServer,
    made_users,
    messages_of,
    scan_script,
)
from userstream_testing.server_process import ServerProcess

pytestmark = pytest.mark.slow

FOLDER = ROOT / "examples/service"
GENERATOR = Path(sys.prefix, "generator")
TRACE = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
CALLER = [("authorization", "Bearer of-the-caller"), TRACE, ("x-other", "stays here")]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the stubs of reports.proto, made as its README says."""
    if not GENERATOR.is_dir():
        pytest.skip("there is no generator of stubs for this Python")
    folder = tmp_path_factory.mktemp("stubs")
    outputs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", *outputs, "reports.proto"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(GENERATOR)}, check=True)
    return folder


@contextmanager
def serving(stubs: Path, target: str) -> Iterator[Any]:
    """Yield a stub of the service, which runs in a process of its own before a userstream server."""
    paths = [ROOT / "protos", ROOT / "examples/python", stubs]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("USERSTREAM_")}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, paths)), "USERSTREAM_TARGET": target}
    command = [sys.executable, str(FOLDER / "reports.py"), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = process.stdout.readline().split()[-1]
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield importlib.import_module("reports_pb2_grpc").ReportServiceStub(channel)
        finally:
            process.terminate()
        assert process.wait(20) == 0


@pytest.fixture(autouse=True)
def reports(stubs: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of messages."""
    monkeypatch.syspath_prepend(str(stubs))
    return importlib.import_module("reports_pb2")


def test_what_belongs_to_the_caller_is_passed_on(stubs: Path, reports: Any) -> None:
    """Deadline, token and trace reach userstream in each call, and nothing else of the caller's metadata does."""
    users = made_users(4)
    average = pb.AverageAgeResponse(user_count=4, age_sum=10, average_age=2.5)
    userstream = ScriptedServer(messages_of(users), [average])
    with userstream, serving(stubs, userstream.target) as stub:
        call = stub.UserIds(reports.UserIdsRequest(), timeout=20, metadata=CALLER)
        ids = [user_id for message in call for user_id in message.user_ids]
        request = reports.AverageAgeRequest(age_over=1)
        found = stub.AverageAge(request, timeout=20, metadata=CALLER)

    assert [user.user_id for user in users] == ids
    assert (4, 2.5) == (found.user_count, found.average_age)
    for call in userstream.calls:
        assert CALLER[:2] == [pair for pair in CALLER if call.metadata.get(pair[0]) == pair[1]]
        # gRPC rounds the time that it sends up.
        assert 10 < (call.seconds_left or 0) < 20.5
    assert 1 == userstream.calls[1].request.filter.age_over


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_the_end_of_the_caller_s_call_ends_its_own(stubs: Path, reports: Any, how: str) -> None:
    """A caller that cancels, or whose time is over, leaves no call at userstream."""
    userstream = ScriptedServer(scan_script(made_users(4), Hang(), messages=1))
    with userstream, serving(stubs, userstream.target) as stub:
        call = stub.UserIds(reports.UserIdsRequest(), timeout=60 if how == "cancel" else 1.5)
        next(call)
        if how == "cancel":
            call.cancel()

        assert userstream.calls[0].ended.wait(10)
        assert 1 == len(userstream.calls)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (
            Fail(grpc.StatusCode.UNAUTHENTICATED, reason="TOKEN_REFUSED"),
            grpc.StatusCode.UNAUTHENTICATED,
        ),
        (
            Fail(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST"),
            grpc.StatusCode.INTERNAL,
        ),
    ],
    ids=["the caller's", "its own"],
)
def test_whose_fault_it_is(stubs: Path, reports: Any, failure: Fail, code: grpc.StatusCode) -> None:
    """A refused token is the caller's; a refused request is the service's own."""
    with (
        ScriptedServer([failure]) as userstream,
        serving(stubs, userstream.target) as stub,
        pytest.raises(grpc.RpcError) as caught,
    ):
        list(stub.UserIds(reports.UserIdsRequest(), timeout=20))

    assert (code, f"userstream: {failure.reason}") == (caught.value.code(), caught.value.details())


def test_a_break_of_userstream_is_only_a_pause(stubs: Path, reports: Any, tmp_path: Path) -> None:
    """Userstream gets SIGKILL and starts again: the service's caller gets every id once, in one stream."""
    table = tmp_path / "users.db"
    seed_synthetic(DatabaseUrl.parse(f"sqlite:///{table}"), 150_000)
    settings = {"USERSTREAM_DATABASE_URL": f"sqlite:///{table}"}
    with ServerProcess(settings, folder=tmp_path) as first, serving(stubs, first.target) as stub:
        call = stub.UserIds(reports.UserIdsRequest(age_over=-1))
        ids = [*next(call).user_ids]
        first.kill()
        with ServerProcess(settings | {"USERSTREAM_LISTEN": first.target}, folder=tmp_path):
            ids += [user_id for message in call for user_id in message.user_ids]

    with sqlite3.connect(table) as connection:
        rows = connection.execute("SELECT user_id FROM user_data ORDER BY user_id")
        assert [row[0] for row in rows] == ids
