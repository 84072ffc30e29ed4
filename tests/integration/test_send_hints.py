"""Small messages that are ready together leave together, and none is left behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # missing in the types only
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb
from userstream_server import grpc_internals
from userstream_server.databases.open import open_database
from userstream_server.grpc_internals import BufferableMessage
from userstream_server.rows.types import UserRow
from userstream_server.rpc.server import build_server
from userstream_server.seeding.seed import seed_users
from userstream_server.settings import load_settings
from userstream_testing.calls import stub_for

HINT = 1
"""GRPC_WRITE_BUFFER_HINT."""
REPLACED = (grpc_internals._SERIALIZE, grpc_internals._SEND_FLAGS)


@pytest.fixture
def target(tmp_path: Path, users: list[UserRow]) -> Iterator[str]:
    """Yield the address of a server in this process over 1,234 users."""
    settings = load_settings(database_url=f"sqlite:///{tmp_path}/users.db", listen="127.0.0.1:0")
    seed_users(settings.database, users)
    database = open_database(settings.database_options)
    server = build_server(settings, database)
    server.start()
    yield f"127.0.0.1:{server.port}"
    server.stop(0)
    database.close()


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the flags of the messages sent in this process, as they come; a call's request is the first."""
    seen: list[int] = []
    operation = cygrpc.SendMessageOperation

    def noted(message: bytes, given: int) -> Any:
        seen.append(given)
        return operation(message, given)

    monkeypatch.setattr(cygrpc, "SendMessageOperation", noted)
    return seen


def test_a_message_that_others_follow_may_wait_for_them(target: str, flags: list[int]) -> None:
    """The last of those sent together goes without the hint; the first of the stream is alone, and so is its last."""
    with stub_for(target) as stub:
        request = pb.StreamUsersRequest(max_users_per_message=1, limit=10)
        messages = list(stub.StreamUsers(request))

    assert [1] * 10 == [len(message.users) for message in messages]
    together = [[0], [0], [HINT] * 7 + [0], [0]]
    assert [flag for part in together for flag in part] == flags


def test_large_messages_and_other_calls_never_wait(
    target: str, flags: list[int], users: list[UserRow]
) -> None:
    """Packed streams, pages, figures and health are sent at once, whatever was sent before them."""
    with stub_for(target) as stub, grpc.insecure_channel(target) as channel:
        small = stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=1))
        for _ in range(40):  # in the middle of messages sent together
            next(small)
        small.cancel()
        flags_before = len(flags)
        sent = list(stub.StreamUsers(pb.StreamUsersRequest()))
        list(stub.Paginate(pb.PaginateRequest(page_size=100)))
        stub.AverageAge(pb.AverageAgeRequest())
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

    assert len(users) == sum(len(message.users) for message in sent)
    # The cancelled stream's own last messages may still have been noted.
    assert not any(flags[flags_before + 64 :])
    assert flags[-1] == 0


def state_after(response: bytes) -> Any:
    """Return a call's state after a message was serialized."""
    state = _server._RPCState()  # type: ignore[no-untyped-call]
    sent = getattr(_server, grpc_internals._SERIALIZE)(None, state, response, bytes)
    assert type(sent) is bytes
    assert response == sent
    return state


def test_hints_are_passed_on_once() -> None:
    """However many servers are built, gRPC's own flags come through, with the hint if the message asks for it."""
    grpc_internals.pass_on_hints()
    replaced = [getattr(_server, name) for name in REPLACED]
    grpc_internals.pass_on_hints()
    assert replaced == [getattr(_server, name) for name in REPLACED]
    flags_of = getattr(_server, grpc_internals._SEND_FLAGS)

    assert flags_of(_server._RPCState()) == 0  # type: ignore[no-untyped-call]
    assert flags_of(state_after(b"one")) == 0
    state = state_after(BufferableMessage(b"one"))
    assert flags_of(state) == HINT
    state.disable_next_compression = True
    assert flags_of(state) == HINT | 2


@pytest.mark.parametrize("missing", REPLACED)
def test_another_grpc_is_left_alone(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Without one of the two functions none is replaced, and messages are sent one by one."""
    for name in REPLACED:
        monkeypatch.setattr(_server, name, len)
    monkeypatch.delattr(_server, missing)
    grpc_internals.pass_on_hints()

    assert not hasattr(_server, missing)
    assert all(getattr(_server, name, len) is len for name in REPLACED)


def test_messages_arrive_without_hints(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gRPC without those functions sends the same messages."""
    for name in REPLACED:
        monkeypatch.setattr(_server, name, getattr(_server, name).replaced)
    with stub_for(target) as stub:
        messages = list(stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=1, limit=10)))

    assert [1] * 10 == [len(message.users) for message in messages]
