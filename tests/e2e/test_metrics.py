"""The numbers on the Prometheus endpoint of a real server, held against what was done to it."""

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_server.databases.mysql.native_library import load_library
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.processlist import locked_table
from userstream_testing.repository import ROOT
from userstream_testing.scrapes import Scrape, scrape, scrape_text, settled
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

SERVICE = "userstream.v1.UserService"


def start(url: str, folder: Path, **settings: str) -> ServerProcess:
    """Start a server with metrics on a free port."""
    named = {f"USERSTREAM_{name}": value for name, value in settings.items()}
    on = {"USERSTREAM_DATABASE_URL": url, "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0"}
    return ServerProcess({**on, **named}, folder=folder)


@pytest.fixture(scope="module")
def measured(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server with metrics that several tests call in turn; each looks at what its calls changed."""
    with start(shared_url, tmp_path_factory.mktemp("measured")) as server:
        yield server


def sizes(messages: Sequence[Message]) -> int:
    return sum(message.ByteSize() for message in messages)


@pytest.mark.parametrize(
    ("method", "request_", "rows"),
    [
        ("StreamUsers", pb.StreamUsersRequest(), 1234),
        ("StreamUsers", pb.StreamUsersRequest(limit=7, max_users_per_message=1), 7),
        ("BatchUsers", pb.BatchUsersRequest(batch_size=100, limit=250), 250),
        ("Paginate", pb.PaginateRequest(page_size=50, page_limit=3), 150),
        ("BatchGetUsers", pb.BatchGetUsersRequest(user_ids=["nobody"]), 0),
        ("AverageAge", pb.AverageAgeRequest(), 1234),
        ("StreamAverageAge", pb.StreamAverageAgeRequest(), 1234),
        ("PartitionUsers", pb.PartitionUsersRequest(partition_count=3), 0),
    ],
)
def test_what_was_sent_is_counted(
    measured: ServerProcess, method: str, request_: Any, rows: int
) -> None:
    """Rows, messages and bytes are those that the caller got, and no other method's numbers move."""
    before = settled(measured)
    with stub_for(measured.target) as stub:
        answer = getattr(stub, method)(request_)
        messages = [answer] if isinstance(answer, Message) else list(answer)
    seen = settled(measured).since(before)

    for labels in ({"method": method}, {}):
        assert rows == seen.total("userstream_rows_total", **labels)
        assert len(messages) == seen.total("userstream_messages_total", **labels)
        assert sizes(messages) == seen.total("userstream_payload_bytes_total", **labels)
    assert seen.total("userstream_query_duration_seconds_count", method=method, outcome="ok") > 0
    assert seen.total("userstream_call_errors_total") == 0


def test_a_running_stream_counts_before_it_ends(seeded_url: str, tmp_path: Path) -> None:
    """Rows sent and the call itself show while it runs, and neither is lost or doubled at its end."""
    with start(seeded_url, tmp_path) as server, stub_for(server.target) as stub:
        call = stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=1))
        next(call)
        during = scrape(server)
        list(call)
        after = settled(server)

    assert during.total("userstream_calls_active", method="StreamUsers") == 1
    assert during.total("userstream_rows_total") > 0
    assert after.total("userstream_rows_total") == 1234


def test_resumed_streams_are_counted(measured: ServerProcess) -> None:
    """A stream that goes on from a token counts as resumed, and only the rows that it sent itself."""
    with stub_for(measured.target) as stub:
        first = next(stub.StreamUsers(pb.StreamUsersRequest(limit=500)))
        before = settled(measured)
        rest = stub.StreamUsers(pb.StreamUsersRequest(limit=500, resume_token=first.resume_token))
        sent = sum(len(message.users) for message in rest)
    seen = settled(measured).since(before)

    assert seen.total("userstream_streams_resumed_total", method="StreamUsers") == 1
    assert seen.total("userstream_rows_total") == sent == 500 - len(first.users)


def test_errors_are_counted_by_reason(measured: ServerProcess) -> None:
    """A refused request shows with its reason."""
    before = settled(measured)
    with stub_for(measured.target) as stub:
        rich_error(stub.StreamUsers(pb.StreamUsersRequest(limit=-1)))
    seen = settled(measured).since(before)

    labels = {"method": "StreamUsers", "reason": "INVALID_REQUEST"}
    assert seen.total("userstream_call_errors_total", **labels) == 1
    assert seen.total("userstream_call_errors_total") == 1


def test_grpc_metrics(shared_url: str, tmp_path: Path) -> None:
    """Calls are counted under gRPC's own names; health checks and methods somebody made up are not."""
    request, refused = pb.StreamUsersRequest(limit=7), pb.StreamUsersRequest(limit=-1)
    with start(shared_url, tmp_path) as server, grpc.insecure_channel(server.target) as channel:
        stub = UserServiceStub(channel)
        for _ in range(3):
            sent = sizes(list(stub.StreamUsers(request)))
        rich_error(stub.StreamUsers(refused))
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        made_up: Any = channel.unary_unary("/made.Up/Method")
        with pytest.raises(grpc.RpcError):
            made_up(b"", timeout=20)
        count = "grpc_server_call_duration_seconds_count"
        until(lambda: scrape(server).total(count) == 4)
        seen = scrape(server)

    ours = {"grpc_method": f"{SERVICE}/StreamUsers"}
    size = "grpc_server_call_{}_total_compressed_message_size_bytes_sum"
    assert seen.total("grpc_server_call_started_total", **ours) == 4
    assert seen.total(count, **ours, grpc_status="OK") == 3
    assert seen.total(count, **ours, grpc_status="INVALID_ARGUMENT") == 1
    assert seen.total(size.format("sent"), **ours) == 3 * sent
    assert seen.total(size.format("rcvd"), **ours) == sizes([request] * 3 + [refused])


def test_a_cancelled_query_is_a_kill(mysql_database: str, tmp_path: Path) -> None:
    """The query of a call that was cancelled is ended at the database, and counted there and in its time."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 100)
    with (
        start(mysql_database, tmp_path) as server,
        stub_for(server.target) as stub,
        locked_table(mysql_database),
    ):
        call = stub.StreamUsers(pb.StreamUsersRequest())
        until(lambda: waiting_for_lock(mysql_database))
        call.cancel()
        until(lambda: scrape(server).total("userstream_queries_killed_total") == 1)
        seen = settled(server)

    count = "userstream_query_duration_seconds_count"
    assert seen.total(count, method="StreamUsers", outcome="cancelled") == 1
    assert seen.total("userstream_call_errors_total", reason="CANCELLED") == 1
    ended = "grpc_server_call_duration_seconds_count"
    assert seen.total(ended, grpc_status="CANCELLED") == 1
    assert seen.total("userstream_pool_in_use") == 0


def waiting_for_lock(url: str) -> bool:
    name = url.rpartition("/")[2]
    return bool(
        execute(
            url,
            "SELECT 1 FROM information_schema.PROCESSLIST"
            f" WHERE DB = '{name}' AND STATE LIKE '%metadata lock%'",
        )
    )


def test_the_pool(mysql_database: str, tmp_path: Path) -> None:
    """Connections in use and queries that wait for one are seen while they do."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 100)
    pool = {"POOL_SIZE": "2", "SNAPSHOT_VIEWS_MAX": "1", "POOL_WAIT_SECONDS": "60"}
    with start(mysql_database, tmp_path, **pool) as server, stub_for(server.target) as stub:
        with locked_table(mysql_database):
            calls = [stub.StreamUsers(pb.StreamUsersRequest()) for _ in range(5)]
            until(lambda: pool_of(scrape(server)) == (2, 2, 3))
            seen = scrape(server)
            assert seen.total("userstream_pool_callers_waiting") == 1
            assert seen.total("userstream_pool_class_in_use", **{"class": "lookup"}) == 2
            assert seen.total("userstream_pool_class_waiting", **{"class": "lookup"}) == 3
            assert seen.total("userstream_pool_class_waiting") == 3
        assert sum(len(list(call)) for call in calls) > 0
        until(lambda: pool_of(scrape(server)) == (2, 0, 0))
        seen = scrape(server)
        served = {"class": "lookup", "outcome": "served"}
        assert seen.total("userstream_pool_waits_total", **served) >= 3
        assert seen.total("userstream_pool_wait_seconds_total", **{"class": "lookup"}) > 0


def pool_of(seen: Scrape) -> tuple[float, ...]:
    return tuple(seen.total(f"userstream_pool_{name}") for name in ("size", "in_use", "waiting"))


def test_stalled_streams(mysql_database: str, tmp_path: Path) -> None:
    """A consumer that takes nothing is seen as stalled, then counted as cancelled."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 60_000)
    with (
        start(mysql_database, tmp_path, SEND_TIMEOUT_SECONDS="2") as server,
        stub_for(server.target) as stub,
    ):
        call = stub.StreamUsers(pb.StreamUsersRequest())
        next(call)
        until(lambda: scrape(server).total("userstream_calls_stalled") == 1)
        until(lambda: scrape(server).total("userstream_stalls_cancelled_total") == 1)
        assert rich_error(call).code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert settled(server).total("userstream_calls_stalled") == 0


def test_serving(tmp_path: Path) -> None:
    """The gauge follows the database: 1 while it answers, 0 while it does not."""
    file, away = tmp_path / "users.db", tmp_path / "away.db"
    seed_synthetic(DatabaseUrl.parse(f"sqlite:///{file}"), 10)
    with start(f"sqlite:///{file}", tmp_path, HEALTH_POLL_SECONDS="0.1") as server:
        assert scrape(server).total("userstream_serving") == 1
        file.rename(away)
        until(lambda: scrape(server).total("userstream_serving") == 0)
        away.rename(file)
        until(lambda: scrape(server).total("userstream_serving") == 1)


def test_what_runs(measured: ServerProcess, shared_url: str) -> None:
    """One gauge names the version, the database's kind and the driver; the process's own are there too."""
    seen = scrape(measured)

    engine = DatabaseUrl.parse(shared_url).engine
    labels = {"version": version("userstream"), "engine": engine, "driver_kind": "c"}
    if engine == "mysql":
        labels["encoder"] = "c" if load_library() else "python"
    assert seen.total("userstream_build_info", **labels) == 1
    assert seen.total("process_resident_memory_bytes") > 0


def test_the_docs_have_every_metric(measured: ServerProcess) -> None:
    """docs/observability.md names each metric with its labels, and none that is not there."""
    with stub_for(measured.target) as stub:
        list(stub.StreamUsers(pb.StreamUsersRequest(limit=10)))
    until(lambda: "grpc_server_call_duration_seconds_count" in scrape(measured).names)
    served: dict[str, set[str]] = {}
    for sample in scrape(measured).samples:
        name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
        if not name.startswith("process_"):
            served.setdefault(name, set()).update(sample.labels.keys() - {"le"})
    docs = (ROOT / "docs/observability.md").read_text("utf-8")
    # Those of several database hosts are not served where there is one (test_hosts.py).
    docs = re.sub(r"### Of several database hosts.*?(?=\n#)", "", docs, flags=re.DOTALL)
    rows = re.findall(r"^\| `((?:grpc|userstream)_\w+)` \| \w+ \| ([\w, ]*)\|", docs, re.MULTILINE)

    assert served == {name: set(filter(None, labels.strip().split(", "))) for name, labels in rows}


def test_nothing_personal_in_the_metrics(
    measured: ServerProcess, shared_url: str, users: list[UserRow]
) -> None:
    """After calls full of users, filters, tokens and mistakes the endpoint shows none of it."""
    some = users[17]
    filters = pb.UserFilter(name_prefix=some.name, email_domain=some.email.rpartition("@")[2])
    with stub_for(measured.target) as stub:
        messages = list(stub.StreamUsers(pb.StreamUsersRequest(filter=filters)))
        list(stub.StreamUsers(pb.StreamUsersRequest()))
        rich_error(stub.StreamUsers(pb.StreamUsersRequest(resume_token=some.email)))
        list(stub.Paginate(pb.PaginateRequest(), metadata=[("x-request-id", some.email)]))
    settled(measured)
    assert measured.metrics_port is not None
    text = scrape_text(measured.metrics_port)

    secrets = {value for user in users for value in (user.user_id, user.name, user.email)}
    secrets |= {messages[0].resume_token, "@", DatabaseUrl.parse(shared_url).password or "@"}
    assert {secret for secret in secrets if secret in text} == set()
