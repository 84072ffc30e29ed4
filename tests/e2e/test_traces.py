"""Spans of a real server, as a real collector gets them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_testing.admin import execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.collector import SpanCollector, attributes_of
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CALLER = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
SERVICE = "userstream.v1.UserService"


@pytest.fixture
def collector() -> Iterator[SpanCollector]:
    """Yield a collector of the test's own."""
    with SpanCollector() as running:
        yield running


def start(url: str, collector: SpanCollector, folder: Path) -> ServerProcess:
    """Start a server that sends its spans soon."""
    settings = {
        "USERSTREAM_DATABASE_URL": url,
        "USERSTREAM_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    return ServerProcess(settings, folder=folder)


def call_spans(collector: SpanCollector) -> list[Span]:
    return [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]


def query_spans(collector: SpanCollector) -> list[Span]:
    return [span for span in collector.spans if span.kind == Span.SPAN_KIND_CLIENT]


def test_a_call_and_its_queries(shared_url: str, collector: SpanCollector, tmp_path: Path) -> None:
    """The call's span is the caller's child, and each chunk's query is the call's; the log line has the trace too."""
    with start(shared_url, collector, tmp_path) as server, stub_for(server.target) as stub:
        messages = list(stub.StreamUsers(pb.StreamUsersRequest(), metadata=CALLER))
        until(lambda: call_spans(collector))
        assert server.events("call")[0]["trace_id"] == TRACE
        assert server.terminate() == 0

    (call,), queries = call_spans(collector), query_spans(collector)
    assert (TRACE, PARENT) == (call.trace_id.hex(), call.parent_span_id.hex())
    assert call.name == f"{SERVICE}/StreamUsers"
    assert attributes_of(call) == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{SERVICE}/StreamUsers",
        "rpc.response.status_code": "OK",
        "userstream.rows": 1234,
        "userstream.messages": len(messages),
        "userstream.payload_bytes": sum(message.ByteSize() for message in messages),
        "userstream.resumed": False,
    }
    assert {(TRACE, call.span_id)} == {(q.trace_id.hex(), q.parent_span_id) for q in queries}
    reads = [q for q in queries if q.name == "read user_data"]
    assert [250, 984] == [attributes_of(q)["db.response.returned_rows"] for q in reads]
    assert ["check user_data"] == [q.name for q in queries if q not in reads]
    engine = DatabaseUrl.parse(shared_url).engine
    assert {engine} == {attributes_of(q)["db.system.name"] for q in queries}
    assert all(call.start_time_unix_nano <= q.start_time_unix_nano for q in queries)
    assert all(q.end_time_unix_nano <= call.end_time_unix_nano for q in queries)
    resource = attributes_of(collector.requests[0].resource_spans[0].resource)
    assert resource["service.name"] == "userstream-server"


@pytest.mark.parametrize("metadata", [(), (("traceparent", "nonsense"),)])
def test_a_caller_without_a_trace(
    collector: SpanCollector, tmp_path: Path, metadata: tuple[tuple[str, str], ...]
) -> None:
    """A call begins a trace of its own when the caller has none, or a broken one."""
    with (
        start("sqlite:///users.db", collector, tmp_path) as server,
        stub_for(server.target) as stub,
    ):
        stub.AverageAge(pb.AverageAgeRequest(), metadata=metadata)
        until(lambda: call_spans(collector))
        logged = server.events("call")[0]["trace_id"]

    (call,) = call_spans(collector)
    assert call.parent_span_id == b""
    assert call.trace_id.hex() == logged


def test_a_caller_that_does_not_sample(collector: SpanCollector, tmp_path: Path) -> None:
    """The caller's decision against a trace is kept."""
    with (
        start("sqlite:///users.db", collector, tmp_path) as server,
        stub_for(server.target) as stub,
    ):
        stub.AverageAge(
            pb.AverageAgeRequest(), metadata=[("traceparent", f"00-{TRACE}-{PARENT}-00")]
        )
        stub.AverageAge(pb.AverageAgeRequest())
        until(lambda: call_spans(collector))

    assert TRACE not in {span.trace_id.hex() for span in collector.spans}


def test_failed_calls(mysql_database: str, collector: SpanCollector, tmp_path: Path) -> None:
    """A span says how a call failed; only the server's own faults make it an error."""
    from userstream_server.seeding.seed import seed_synthetic

    seed_synthetic(DatabaseUrl.parse(mysql_database), 10)
    with start(mysql_database, collector, tmp_path) as server, stub_for(server.target) as stub:
        rich_error(stub.StreamUsers(pb.StreamUsersRequest(limit=-1)))
        # A table that changed its shape: the query itself fails.
        execute(mysql_database, "ALTER TABLE user_data RENAME COLUMN email TO mail")
        rich_error(stub.StreamUsers(pb.StreamUsersRequest()))
        until(lambda: len(call_spans(collector)) == 2)

    refused, failed = sorted(call_spans(collector), key=lambda span: span.start_time_unix_nano)
    assert attributes_of(refused)["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert attributes_of(refused)["error.type"] == "INVALID_REQUEST"
    assert refused.status.code == SpanStatus.STATUS_CODE_UNSET
    assert attributes_of(failed)["rpc.response.status_code"] == "FAILED_PRECONDITION"
    (query,) = query_spans(collector)
    assert query.status.code == SpanStatus.STATUS_CODE_ERROR
    assert not failed.events
    assert not query.events


def test_nothing_personal_in_spans(
    shared_url: str, collector: SpanCollector, users: list[UserRow], tmp_path: Path
) -> None:
    """Spans hold no user, no filter, no token and no SQL."""
    some = users[17]
    filters = pb.UserFilter(name_prefix=some.name, email_domain=some.email.rpartition("@")[2])
    with start(shared_url, collector, tmp_path) as server, stub_for(server.target) as stub:
        metadata = (*CALLER, ("x-request-id", some.email), ("baggage", f"user={some.email}"))
        list(stub.StreamUsers(pb.StreamUsersRequest(filter=filters), metadata=metadata))
        rich_error(stub.StreamUsers(pb.StreamUsersRequest(resume_token=some.email)))
        until(lambda: len(call_spans(collector)) == 2)
        server.terminate()

    # As JSON, where the random bytes of ids are base64 and hold no "@" by chance.
    text = "".join(MessageToJson(request, ensure_ascii=False) for request in collector.requests)
    secrets = {value for user in users for value in (user.user_id, user.name, user.email)}
    secrets |= {"SELECT", "WHERE", "@", DatabaseUrl.parse(shared_url).password or "@"}
    assert {secret for secret in secrets if secret in text} == set()
