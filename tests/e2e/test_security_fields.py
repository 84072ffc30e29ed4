"""USERSTREAM_FIELDS_ALLOWED: who may read which fields, by token and by certificate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_testing.calls import RichError, rich_error, secure_channel, stub_for
from userstream_testing.certificates import Authority
from userstream_testing.server_process import ServerProcess, run_to_end, serving
from userstream_testing.sign_in import bearer, hang_up, tls

NO_EMAIL = FieldMask(paths=["name", "age"])
IDS = FieldMask(paths=["user_id"])
BY_EMAIL = pb.UserFilter(email_domain="example.com")
BY_AGE = pb.UserFilter(age_over=40)
# Requests, and the fields that each needs.
CALLS: list[tuple[str, Any, set[str]]] = [
    ("StreamUsers", pb.StreamUsersRequest(limit=1), {"name", "email", "age"}),
    ("StreamUsers", pb.StreamUsersRequest(limit=1, read_mask=NO_EMAIL), {"name", "age"}),
    ("StreamUsers", pb.StreamUsersRequest(limit=1, read_mask=IDS), set()),
    ("StreamUsers", pb.StreamUsersRequest(limit=1, read_mask=IDS, filter=BY_EMAIL), {"email"}),
    ("BatchUsers", pb.BatchUsersRequest(limit=1, read_mask=IDS), {"age"}),
    ("Paginate", pb.PaginateRequest(page_size=1, page_limit=1), {"name", "email", "age"}),
    ("Paginate", pb.PaginateRequest(page_size=1, page_limit=1, read_mask=IDS), set()),
    (
        "Paginate",
        pb.PaginateRequest(page_limit=1, read_mask=IDS, filter=pb.UserFilter(name_prefix="A")),
        {"name"},
    ),
    ("BatchGetUsers", pb.BatchGetUsersRequest(user_ids=["x"]), {"name", "email", "age"}),
    ("BatchGetUsers", pb.BatchGetUsersRequest(user_ids=["x"], read_mask=IDS), set()),
    ("AverageAge", pb.AverageAgeRequest(), {"age"}),
    ("AverageAge", pb.AverageAgeRequest(filter=BY_EMAIL), {"age", "email"}),
    ("StreamAverageAge", pb.StreamAverageAgeRequest(), {"age"}),
    ("PartitionUsers", pb.PartitionUsersRequest(partition_count=1), set()),
    ("PartitionUsers", pb.PartitionUsersRequest(partition_count=1, filter=BY_AGE), {"age"}),
    ("PartitionUsers", pb.PartitionUsersRequest(partition_count=1, filter=BY_EMAIL), {"email"}),
]
CALLERS = {
    "token-of-reports": {"name", "age"},
    "token-of-everything": {"name", "email", "age"},
    "token-without-name": set[str](),
}


@pytest.fixture(scope="module")
def server(reader_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server with three tokens, two of which may read more than ids."""
    folder = tmp_path_factory.mktemp("fields")
    (folder / "tokens").write_text(
        "name=reports token-of-reports\nname=all token-of-everything\ntoken-without-name\n"
    )
    settings = {"AUTH_TOKENS_FILE": folder / "tokens"}
    settings["FIELDS_ALLOWED"] = "token:reports=name+age, token:all=*"  # type: ignore[assignment]
    with serving(reader_url, folder, **settings) as running:
        yield running


def refusal(stub: Any, rpc: str, request: Any, **options: Any) -> RichError | None:
    """Make a call; return how it was refused, None if it was answered."""
    try:
        answer = getattr(stub, rpc)(request, timeout=10, **options)
        _ = list(answer) if hasattr(answer, "__iter__") else answer
    except grpc.RpcError as error:
        return RichError(error)
    return None


@pytest.mark.parametrize("token", CALLERS)
@pytest.mark.parametrize(("rpc", "request_", "needed"), CALLS)
def test_every_call(
    server: ServerProcess, rpc: str, request_: Any, needed: set[str], token: str
) -> None:
    """A call that reads or filters by a field its caller may not read is refused, and the error names the field."""
    missing = needed - CALLERS[token]
    with stub_for(server.target) as stub:
        refused = refusal(stub, rpc, request_, **bearer(token))

    if not missing:
        assert refused is None
        return
    assert refused is not None
    assert (grpc.StatusCode.PERMISSION_DENIED, "FIELD_DENIED") == (
        refused.code,
        refused.info.reason,
    )
    assert missing == set(refused.info.metadata["fields"].split(","))
    assert all(field in refused.message for field in missing)


def test_what_is_sent(server: ServerProcess) -> None:
    """A caller gets the fields it may read, and nothing in the others."""
    request = pb.StreamUsersRequest(limit=50, read_mask=NO_EMAIL)
    with stub_for(server.target) as stub:
        messages = list(stub.StreamUsers(request, **bearer("token-of-reports")))
    sent = [user for message in messages for user in message.users]

    assert 50 == sum(bool(user.user_id and user.name) for user in sent)
    assert {""} == {user.email for user in sent}


def test_a_token_of_another_caller_opens_nothing(server: ServerProcess) -> None:
    """A resume token of a call for all fields does not help a caller who may not read them."""
    request = pb.StreamUsersRequest(limit=50)
    with stub_for(server.target) as stub:
        first = next(stub.StreamUsers(request, **bearer("token-of-everything")))
        for mask in (FieldMask(), NO_EMAIL):
            again = pb.StreamUsersRequest(limit=50, resume_token=first.resume_token, read_mask=mask)
            error = rich_error(stub.StreamUsers(again, **bearer("token-of-reports")))
            assert error.info.reason in {"FIELD_DENIED", "INVALID_TOKEN"}


def test_certificates_and_reloads(reader_url: str, tmp_path: Path, authority: Authority) -> None:
    """Names in certificates decide too, and SIGHUP makes another list count for the next call."""
    settings = tls(authority, clients=True)
    pair = authority.issue("x", host="night.batch.example", address="")
    seen = []
    (tmp_path / ".env").write_text("")
    with (
        serving(reader_url, tmp_path, **settings) as server,
        secure_channel(server.target, authority.ca, pair) as channel,
    ):
        for rules in ("", "*.batch.example=name+age", "reports.example=*", "*=*"):
            (tmp_path / ".env").write_text(f"USERSTREAM_FIELDS_ALLOWED={rules}\n")
            hang_up(server)
            refused = refusal(UserServiceStub(channel), "StreamUsers", CALLS[0][1])
            seen.append(refused.info.metadata["fields"] if refused else "")

    assert ["", "email", "name,email,age", ""] == seen


def test_check_names_tokens_that_are_missing(reader_url: str, tmp_path: Path) -> None:
    """--check warns of an entry whose token does not exist."""
    (tmp_path / "tokens").write_text("name=reports a-token-that-is-long-enough\n")
    settings = {
        "USERSTREAM_DATABASE_URL": reader_url,
        "USERSTREAM_AUTH_TOKENS_FILE": str(tmp_path / "tokens"),
    }
    said = [
        run_to_end(settings | {"USERSTREAM_FIELDS_ALLOWED": rules}, tmp_path, "--check").stdout
        for rules in ("token:reports=age", "token:reporting=age")
    ]

    assert "fields    ok    1 entries; other callers read user_id only" in said[0]
    assert "fields    warn  no token has the name reporting" in said[1]
