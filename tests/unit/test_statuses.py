"""The one table from errors to statuses, and the details that a status carries."""

from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from userstream_server import errors
from userstream_server.errors import FieldViolation, InvalidRequestError, UserStreamError
from userstream_server.interceptors.status import status_of

TABLE: dict[type[UserStreamError], tuple[int, float | None]] = {
    errors.InvalidRequestError: (code_pb2.INVALID_ARGUMENT, None),
    errors.UnauthenticatedError: (code_pb2.UNAUTHENTICATED, None),
    errors.AccessDeniedError: (code_pb2.PERMISSION_DENIED, None),
    errors.PreconditionError: (code_pb2.FAILED_PRECONDITION, None),
    errors.ConflictError: (code_pb2.ABORTED, None),
    errors.DeadlineError: (code_pb2.DEADLINE_EXCEEDED, None),
    errors.CallCancelledError: (code_pb2.CANCELLED, None),
    errors.OverloadedError: (code_pb2.RESOURCE_EXHAUSTED, 1.0),
    errors.UnavailableError: (code_pb2.UNAVAILABLE, 0.5),
    errors.InternalError: (code_pb2.INTERNAL, None),
}
"""What docs/operations.md promises: the code, and after how many seconds a retry makes sense."""


def made(kind: type[Any], **options: Any) -> UserStreamError:
    """Make an error of any type."""
    if kind is errors.InvalidRequestError:
        return InvalidRequestError([FieldViolation("limit", "takes 0 or more")])
    error: UserStreamError
    error = kind() if kind is errors.InternalError else kind("REASON", "Do this.", **options)
    return error


def details(error: UserStreamError) -> tuple[status_pb2.Status, dict[str, Any]]:
    """Return the status as a client reads it, and its details by their names."""
    status = status_of(error)
    trailing = dict(status.trailing_metadata or ())
    rich = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert (rich.code, rich.message) == (status.code.value[0], status.details)
    return rich, {packed.TypeName().rpartition(".")[2]: unpacked(packed) for packed in rich.details}


def unpacked(packed: Any) -> Message:
    kind: type[Message] = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])
    message = kind()
    assert packed.Unpack(message)
    return message


def test_the_table_is_complete() -> None:
    """Every error that may leave the server has its row."""
    assert set(UserStreamError.__subclasses__()) == errors.STATUSES.keys() == TABLE.keys()


@pytest.mark.parametrize("kind", TABLE)
def test_each_error_has_its_status(kind: type[UserStreamError]) -> None:
    """The code, the error's own words, its reason in our domain, and RetryInfo where a retry helps."""
    code, retry_seconds = TABLE[kind]
    error = made(kind)
    rich, found = details(error)

    assert (code, error.message) == (rich.code, rich.message)
    assert (
        error_details_pb2.ErrorInfo(reason=error.reason, domain="userstream") == found["ErrorInfo"]
    )
    retry = found.get("RetryInfo")
    assert retry_seconds == (retry and retry.retry_delay.ToMilliseconds() / 1000)


def test_facts_for_programs() -> None:
    """What an error knows of itself comes along beside its reason; most know nothing."""
    facts = {"limit": "10"}
    _, found = details(errors.OverloadedError("FULL", "Later.", metadata=facts))

    assert facts == dict(found["ErrorInfo"].metadata)
    assert {} == errors.OverloadedError("FULL", "Later.").metadata
    assert {} == dict(details(errors.InternalError())[1]["ErrorInfo"].metadata)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 2.5, 30.0])
@pytest.mark.parametrize("kind", [errors.OverloadedError, errors.DeadlineError])
def test_an_error_says_itself_when_to_retry(kind: type[UserStreamError], seconds: float) -> None:
    """The error's own time goes before the table's, also where that has none; 0 means at once."""
    _, found = details(made(kind, retry_after_seconds=seconds))

    assert seconds == found["RetryInfo"].retry_delay.ToMilliseconds() / 1000


def test_a_bad_request_names_every_field() -> None:
    """All broken rules are in BadRequest, and in the message for people."""
    violations = [FieldViolation("limit", "takes 0 or more"), FieldViolation("filter", "is bad")]
    rich, found = details(InvalidRequestError(violations))

    assert "limit: takes 0 or more; filter: is bad" == rich.message
    assert [("limit", "takes 0 or more"), ("filter", "is bad")] == [
        (violation.field, violation.description)
        for violation in found["BadRequest"].field_violations
    ]
    assert {"ErrorInfo", "BadRequest"} == found.keys()


def test_reasons_that_need_not_be_said() -> None:
    """A broken rule and a defect have reasons of their own; both can be narrowed."""
    rule = [FieldViolation("limit", "takes 0 or more")]

    assert "INVALID_REQUEST" == InvalidRequestError(rule).reason
    assert "INVALID_TOKEN" == InvalidRequestError(rule, reason="INVALID_TOKEN").reason
    assert "INTERNAL" == errors.InternalError().reason
    assert "DATABASE_ERROR" == errors.InternalError("DATABASE_ERROR").reason


def test_a_defect_says_nothing_of_itself() -> None:
    """Its text is fixed, so that nothing of the exception can leak."""
    error = errors.InternalError("DATABASE_ERROR")

    assert "Internal error. The server's log has the details under the request id." == error.message
    assert error.message == str(error)
