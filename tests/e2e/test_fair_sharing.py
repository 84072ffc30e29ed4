"""One caller's full scans do not shut out another caller's small calls."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import stub_for
from userstream_testing.server_process import serving

SCAN = pb.AverageAgeRequest(filter=pb.UserFilter(email_domain="nobody.example"))
RARE = pb.StreamUsersRequest(filter=pb.UserFilter(email_domain="nobody.example"))
CALLERS = 100


def as_caller(token: str) -> dict[str, Any]:
    return {"metadata": [("authorization", f"Bearer {token}")]}


@contextmanager
def keeping_busy(target: str, call: Any) -> Iterator[None]:
    """Have 100 threads make a call again and again; that some of them are refused is part of it."""
    over = threading.Event()

    def work(stub: Any) -> None:
        while not over.is_set():
            try:
                call(stub)
            except grpc.RpcError:
                continue

    with stub_for(target, own=True) as one, stub_for(target, own=True) as another:
        threads = [
            threading.Thread(target=work, args=((one, another)[n % 2],)) for n in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda stub: stub.AverageAge(SCAN, **as_caller("busy")), id="AverageAge"),
        pytest.param(lambda stub: list(stub.StreamUsers(RARE, **as_caller("busy"))), id="filtered"),
    ],
)
def test_full_scans_of_one_caller(reader_url: str, tmp_path: Path, call: Any) -> None:
    """While one caller keeps 100 full scans running, each small call of another is answered."""
    (tmp_path / "tokens").write_text("busy\nhonest\n")
    settings = {"AUTH_TOKENS_FILE": tmp_path / "tokens", "STREAMS_PER_CONNECTION_MAX": 100}
    answered = 0
    with (
        serving(reader_url, tmp_path, POOL_WAIT_SECONDS=0.4, **settings) as server,
        stub_for(server.target) as stub,
        keeping_busy(server.target, call),
    ):
        for _ in range(20):
            request = pb.StreamUsersRequest(limit=1)
            messages = stub.StreamUsers(request, timeout=20, **as_caller("honest"))
            answered += sum(len(message.users) for message in messages)

    assert answered == 20
