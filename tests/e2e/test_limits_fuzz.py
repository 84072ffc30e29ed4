"""Whatever comes as a request is answered in the service's own words, and leaves nothing behind."""

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_testing.reader import reader_of
from userstream_testing.server_process import ServerProcess, serving

METHODS = {m.name: m for m in pb.DESCRIPTOR.services_by_name["UserService"].methods}
EXPECTED = {"OK", "INVALID_ARGUMENT"}
SIZES = [
    pytest.param(2_000, id="2,000"),
    pytest.param(100_000, id="100,000", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
]
Answer = Callable[[str, bytes], str]


@pytest.fixture
def fuzzed(mysql_database: str, users: list[UserRow], tmp_path: Path) -> Iterator[ServerProcess]:
    """Yield a server over a MySQL with few users, so that most of the time goes into requests."""
    seed_users(DatabaseUrl.parse(mysql_database), users[:50])
    with (
        reader_of(mysql_database) as url,
        serving(url, tmp_path) as server,
    ):
        yield server
        assert server.events("defect") == []
        assert server.events("database_error") == []
        assert "Traceback" not in server.log


def answering(channel: grpc.Channel) -> Answer:
    """Return what makes a call of a method with raw bytes and says its status."""
    calls: dict[str, Any] = {
        name: channel.unary_stream(f"/userstream.v1.UserService/{name}") for name in METHODS
    }

    def answer(method: str, request: bytes) -> str:
        try:
            for _ in calls[method](request, timeout=30):
                pass
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    return answer


def resident_bytes(server: ServerProcess) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def check(seen: Counter[tuple[str, str]], server: ServerProcess, before_bytes: int) -> None:
    """Hold statuses and memory against what is promised; print what came."""
    grown_mib = (resident_bytes(server) - before_bytes) / 2**20
    statuses = Counter({s: sum(n for (_, t), n in seen.items() if t == s) for _, s in seen})
    print(f"\n{seen.total():,} requests: {dict(statuses)}; the server grew {grown_mib:+.1f} MiB")  # noqa: T201 - shown by -s
    assert set(METHODS) == {method for method, _ in seen}
    assert EXPECTED >= {status for _, status in seen}
    assert grown_mib < 32


@pytest.mark.parametrize("count", SIZES)
def test_random_bytes(fuzzed: ServerProcess, count: int) -> None:
    """Random bytes, and valid requests with some of them changed, to every RPC: no INTERNAL, no UNKNOWN, no growth."""
    dice = random.Random(5)
    seen: Counter[tuple[str, str]] = Counter()
    before = 0
    with grpc.insecure_channel(fuzzed.target) as channel:
        answer = answering(channel)
        for number in range(count):
            method = dice.choice(list(METHODS))
            seen[method, answer(method, noise(dice, method))] += 1
            if number == count // 4:
                before = resident_bytes(fuzzed)  # warm by now

    check(seen, fuzzed, before)


def noise(dice: random.Random, method: str) -> bytes:
    """Return random bytes, or a plausible request in which a few bytes are wrong."""
    if dice.random() < 0.5:
        return dice.randbytes(dice.randrange(64))
    raw = bytearray(plausible(dice, method).SerializeToString())
    for _ in range(dice.randrange(4)):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(raw)


def plausible(dice: random.Random, method: str) -> Message:
    of = GetMessageClass(METHODS[method].input_type)
    if method == "BatchGetUsers":
        return of(user_ids=[str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(3)])
    return of(
        filter=pb.UserFilter(
            age_over=dice.randrange(100), name_prefix="Ab", email_domain="x.example"
        )
    )


def made(method: str) -> st.SearchStrategy[bytes]:
    """Return requests of a method with any value in any field that its type can hold."""
    of = GetMessageClass(METHODS[method].input_type)
    return fields(of.DESCRIPTOR).map(lambda values: of(**values).SerializeToString())


def fields(of: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={f.name: value(f) for f in of.fields})


def value(field: Any) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return fields(field.message_type)
    if field.type == field.TYPE_STRING:
        return st.text(max_size=300)
    if field.type == field.TYPE_BOOL:
        return st.booleans()
    bits = 63 if field.type == field.TYPE_INT64 else 31
    return st.integers(-(2**bits), 2**bits - 1) | st.integers(-2, 12_000)


@pytest.mark.parametrize("count", SIZES)
def test_made_requests(fuzzed: ServerProcess, count: int) -> None:
    """Well-formed requests with any values, to every RPC: answered or INVALID_ARGUMENT, and no growth."""
    seen: Counter[tuple[str, str]] = Counter()
    with grpc.insecure_channel(fuzzed.target) as channel:
        answer = answering(channel)
        for method in METHODS:
            for _ in range(30):
                answer(method, b"")
        before = resident_bytes(fuzzed)

        @settings(
            max_examples=count // len(METHODS) + 1,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def ask(data: st.DataObject) -> None:
            for method in METHODS:
                seen[method, answer(method, data.draw(made(method)))] += 1

        ask()

    check(seen, fuzzed, before)
