"""How large messages are, as the proto and docs/compatibility.md say."""

from pathlib import Path

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.in_process import served
from userstream_testing.repository import ROOT

DEFAULT_LIMIT = 4 * 2**20
"""What gRPC's clients accept unless told otherwise."""
SAID = [
    (ROOT / "protos/userstream/v1/user_service.proto").read_text("utf-8").replace("\n// ", " "),
    (ROOT / "docs/compatibility.md").read_text("utf-8"),
]


def size_of(count: int, name: str, email: str, age: int) -> int:
    users = [pb.User(user_id="0" * 36, name=name, email=email, age=age)] * count
    return pb.BatchUsersResponse(users=users, resume_token="t" * 150).ByteSize()


def test_ordinary_users() -> None:
    """About 80 bytes each, so the largest batch of them is 0.8 MB."""
    size = size_of(10_000, "Víctor Brontë", "user0455@example.com", 112)

    assert 0.75e6 < size < 0.85e6
    assert all("80 bytes" in text and "0.8 MB" in text for text in SAID)


def test_the_longest_users() -> None:
    """2.1 kB each: 1,900 of them fit into 4 MiB, 2,000 do not."""
    longest = ("🌻" * 255, "🌻" * 255, -9_999_999_999)

    assert 2050 < size_of(1, *longest) - 150 < 2150
    assert size_of(1900, *longest) < DEFAULT_LIMIT < size_of(2000, *longest)
    assert all("2.1 kB" in text and "1,900 users" in text for text in SAID)


def test_when_the_largest_batch_is_too_large() -> None:
    """10,000 users fit if they take 400 bytes, and do not above 419."""
    other = size_of(1, "", "x", 1)
    fits, exceeds = (size_of(10_000, "", "x" * (n - other + 150), 1) for n in (400, 425))

    assert fits < DEFAULT_LIMIT < exceeds


def test_a_client_with_defaults(tmp_path: Path) -> None:
    """The largest batch and the largest page of ordinary users reach a client that was told nothing."""
    url = f"sqlite:///{tmp_path}/users.db"
    seed_synthetic(DatabaseUrl.parse(url), 10_000)
    everyone = pb.UserFilter(age_over=-1)
    with served(url) as target, grpc.insecure_channel(target) as channel:
        stub = UserServiceStub(channel)
        batches = list(stub.BatchUsers(pb.BatchUsersRequest(batch_size=10_000, filter=everyone)))
        pages = list(stub.Paginate(pb.PaginateRequest(page_size=10_000)))

    assert [[10_000], [10_000]] == [[len(m.users) for m in found] for found in (batches, pages)]
    assert max(batches[0].ByteSize(), pages[0].ByteSize()) < 1e6
