"""Compressed responses: fewer bytes on the wire for those who ask, and the same users for all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import SettingsError, UserFilter, UserStreamClient
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.command import run_here
from userstream_testing.fault_proxy import FaultProxy
from userstream_testing.server_process import ServerProcess, serving

GZIP = [("x-userstream-compression", "gzip")]
CALLS: list[tuple[str, Any]] = [
    ("StreamUsers", pb.StreamUsersRequest()),
    ("BatchUsers", pb.BatchUsersRequest(batch_size=500)),
    ("Paginate", pb.PaginateRequest(page_size=500)),
    ("BatchGetUsers", None),
    ("AverageAge", pb.AverageAgeRequest(include_histogram=True)),
    ("StreamAverageAge", pb.StreamAverageAgeRequest()),
    ("PartitionUsers", pb.PartitionUsersRequest(partition_count=500)),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server with 5,000 users."""
    folder = tmp_path_factory.mktemp("compression")
    url = f"sqlite:///{folder}/users.db"
    seed_synthetic(DatabaseUrl.parse(url), 5000)
    with serving(url, folder) as running:
        yield running


def answered(target: str, rpc: str, request: Any, metadata: Any = ()) -> list[bytes]:
    """Return a call's messages without their tokens, which count resumes and so may differ."""
    with stub_for(target, own=True) as stub:
        if request is None:
            ids = [u.user_id for m in stub.StreamUsers(pb.StreamUsersRequest()) for u in m.users]
            request = pb.BatchGetUsersRequest(user_ids=ids[:1000])
        answer = getattr(stub, rpc)(request, metadata=metadata, timeout=30)
        messages = list(answer) if hasattr(answer, "__iter__") else [answer]
    return [message.SerializeToString() for message in messages]


@pytest.mark.parametrize(("rpc", "request_"), CALLS, ids=[rpc for rpc, _ in CALLS])
def test_the_same_messages(server: ServerProcess, rpc: str, request_: Any) -> None:
    """Every call brings what it brings without compression, receipts and checksums included."""
    plain = b"".join(answered(server.target, rpc, request_))
    asked = b"".join(answered(server.target, rpc, request_, GZIP))

    # Progress is estimated anew in each call; everything else is equal.
    assert users_of(rpc, plain) == users_of(rpc, asked)


def users_of(rpc: str, raw: bytes) -> tuple[Any, ...]:
    kind: Any = getattr(pb, f"{rpc}Response")
    whole = kind.FromString(raw)  # messages one after another are one message
    for field in ("progress", "resume_token"):
        if field in kind.DESCRIPTOR.fields_by_name:
            whole.ClearField(field)
    return (whole.SerializeToString(deterministic=True),)


def wire_bytes(server: ServerProcess, metadata: Any) -> int:
    """Return the bytes that some batches take on the wire; how StreamUsers packs depends on the machine's load."""
    request = pb.BatchUsersRequest(batch_size=1000, filter=pb.UserFilter(age_over=-1))
    with FaultProxy(server.port) as proxy:
        answered(proxy.target, "BatchUsers", request, metadata)
        return sum(proxy.passed)


def test_fewer_bytes(server: ServerProcess) -> None:
    """Less than half with gzip; without asking, and with identity, all of them."""
    plain, identity, gzip = (
        wire_bytes(server, metadata)
        for metadata in ([], [("x-userstream-compression", "identity")], GZIP)
    )

    assert gzip < 0.55 * plain
    assert abs(identity - plain) < 0.02 * plain


def test_an_unknown_compression(server: ServerProcess) -> None:
    """INVALID_ARGUMENT, naming the metadata and what it takes."""
    with stub_for(server.target) as stub:
        error = rich_error(
            stub.StreamUsers(
                pb.StreamUsersRequest(), metadata=[("x-userstream-compression", "zstd")]
            )
        )

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert ["x-userstream-compression"] == error.fields
    assert error.message == "x-userstream-compression: takes gzip or identity"


def test_a_server_that_does_not_compress(tmp_path: Path) -> None:
    """USERSTREAM_COMPRESSION_ALLOWED=false answers those who ask, uncompressed."""
    url = f"sqlite:///{tmp_path}/users.db"
    seed_synthetic(DatabaseUrl.parse(url), 2000)
    with serving(url, tmp_path, COMPRESSION_ALLOWED="false") as server:
        assert wire_bytes(server, GZIP) > 0.95 * wire_bytes(server, [])


def test_the_client(server: ServerProcess, tmp_path: Path) -> None:
    """compression= and USERSTREAM_COMPRESSION: the same users, verified, in half the bytes."""
    taken, receipts = [], []
    for compression in ("none", "gzip"):
        with (
            FaultProxy(server.port) as proxy,
            UserStreamClient(proxy.target, compression=compression) as client,
        ):
            stream = client.batch_users(1000, UserFilter(age_over=-1))
            receipts.append((list(stream), stream.receipt))
            taken.append(sum(proxy.passed))
    with FaultProxy(server.port) as proxy:
        options = ("--output", "-", "--target", proxy.target)
        ran = run_here("export", *options, cwd=tmp_path, USERSTREAM_COMPRESSION="gzip")
        taken.append(sum(proxy.passed))

    assert receipts[0] == receipts[1]
    assert (0, 5001) == (ran.code, len(ran.out.splitlines()))
    assert taken[1] < 0.55 * taken[0]
    assert taken[2] < 0.7 * taken[0]


def test_a_client_with_an_unknown_compression() -> None:
    """Refused before any call."""
    with pytest.raises(SettingsError, match="compression: takes none or gzip"):
        UserStreamClient("127.0.0.1:1", compression="zstd")
