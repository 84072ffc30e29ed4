"""From statuses to typed errors."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from userstream_client import (
    CallCancelledError,
    ConflictError,
    DataIntegrityError,
    DeadlineExceededError,
    FieldViolation,
    InternalError,
    InvalidRequestError,
    OverloadedError,
    PermissionDeniedError,
    PreconditionFailedError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UserStreamClient,
    UserStreamError,
)
from userstream_client.errors import error_from_call
from userstream_testing.scripted_server import Fail, ScriptedServer

Code = grpc.StatusCode


def raised_by(failure: Fail) -> UserStreamError:
    with (
        ScriptedServer([failure]) as server,
        UserStreamClient(server.target, resume=None) as client,
        pytest.raises(UserStreamError) as raised,
    ):
        client.average_age()
    return raised.value


class Failed(grpc.RpcError):
    """A failed call, as grpc raises it.

    Args:
        code: Its status.
        text: Its text.
        trailing: Its trailing metadata.
    """

    def __init__(self, code: grpc.StatusCode, text: str | None = None, *trailing: Any) -> None:
        self._code = code
        self._text = text
        self._trailing = trailing or None

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._text

    def trailing_metadata(self) -> Any:
        return self._trailing


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (Code.INVALID_ARGUMENT, "the request is not valid"),
        (Code.OUT_OF_RANGE, "the request is not valid"),
        (Code.UNAUTHENTICATED, "the server wants a valid token"),
        (Code.PERMISSION_DENIED, "the server refuses this caller"),
        (Code.FAILED_PRECONDITION, "the server is not set up"),
        (Code.RESOURCE_EXHAUSTED, "a limit is reached"),
        (Code.UNAVAILABLE, "the server cannot be reached"),
        (Code.ABORTED, "the database chose another query; try again"),
        (Code.DEADLINE_EXCEEDED, "the time limit is over"),
        (Code.CANCELLED, "the call was cancelled"),
        (Code.UNIMPLEMENTED, "this is not a userstream server"),
        (Code.DATA_LOSS, "the server reports lost data"),
        (Code.INTERNAL, "the server failed"),
        (Code.UNKNOWN, "the server failed"),
    ],
)
def test_what_each_status_means(code: grpc.StatusCode, meaning: str) -> None:
    """A status that comes without the service's own words gets some."""
    error = error_from_call(Failed(code))

    assert (meaning, meaning, "") == (error.message, str(error), error.reason)
    assert f"{meaning} (so)" == error_from_call(Failed(code, "so")).message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.INVALID_ARGUMENT, InvalidRequestError),
        (Code.OUT_OF_RANGE, InvalidRequestError),
        (Code.UNAUTHENTICATED, UnauthenticatedError),
        (Code.PERMISSION_DENIED, PermissionDeniedError),
        (Code.FAILED_PRECONDITION, PreconditionFailedError),
        (Code.RESOURCE_EXHAUSTED, OverloadedError),
        (Code.UNAVAILABLE, UnavailableError),
        (Code.ABORTED, ConflictError),
        (Code.DEADLINE_EXCEEDED, DeadlineExceededError),
        (Code.CANCELLED, CallCancelledError),
        (Code.UNIMPLEMENTED, UnsupportedError),
        (Code.DATA_LOSS, DataIntegrityError),
        (Code.INTERNAL, InternalError),
        (Code.UNKNOWN, InternalError),
        (Code.NOT_FOUND, InternalError),
    ],
)
def test_each_status_has_its_type(code: grpc.StatusCode, kind: type[UserStreamError]) -> None:
    """The type, the code, the reason, and the service's own words."""
    error = raised_by(Fail(code, "Do this.", reason="SOMETHING"))

    assert (kind, code, "SOMETHING", "Do this.") == (
        type(error),
        error.code,
        error.reason,
        error.message,
    )


def test_details() -> None:
    """Fields at fault and the time to wait come along."""
    error = raised_by(
        Fail(
            Code.INVALID_ARGUMENT,
            reason="INVALID_REQUEST",
            retry_after_seconds=1.5,
            violations={"filter.age_over": "takes a number"},
        )
    )

    assert (FieldViolation("filter.age_over", "takes a number"),) == error.field_violations
    assert 1.5 == error.retry_after_seconds


def test_a_status_without_details() -> None:
    """A status that is not the service's own says what it means, with its text in brackets."""
    error = raised_by(Fail(Code.PERMISSION_DENIED, "proxy says no"))

    assert "the server refuses this caller (proxy says no)" == error.message
    assert ("", None, ()) == (error.reason, error.retry_after_seconds, error.field_violations)


def test_texts_cannot_steer_a_terminal() -> None:
    """Whatever a server sends, a message is one printable line of bounded length."""
    error = raised_by(Fail(Code.INTERNAL, "a\x1b[31m\nb\0" + "c" * 2000, reason="BAD"))

    assert error.message.isprintable()
    assert error.message.startswith("a [31m b c")
    assert len(error.message) <= 500


@pytest.mark.parametrize("length", [499, 500, 501, 502, 2000])
def test_long_texts_are_cut(length: int) -> None:
    """A message has 500 characters at most."""
    details = Status()
    details.details.add().Pack(ErrorInfo(reason="R"))
    error = error_from_call(
        Failed(
            Code.INTERNAL, "c" * length, ("grpc-status-details-bin", details.SerializeToString())
        )
    )

    assert "c" * min(length, 500) == error.message


@pytest.mark.parametrize("packed", [b"\xff\xff\xff", "text"])
def test_broken_details_do_not_hide_a_status(packed: bytes | str) -> None:
    """Details that cannot be read are passed over."""
    error = error_from_call(Failed(Code.UNAVAILABLE, None, ("grpc-status-details-bin", packed)))

    assert (UnavailableError, "the server cannot be reached") == (type(error), error.message)


def test_a_damaged_detail() -> None:
    """What was read before it stands, but for a time to retry, and the other metadata is passed over."""
    details = Status()
    details.details.add().Pack(ErrorInfo(reason="FULL"))
    details.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=7)))
    whole = details.SerializeToString()
    damaged = details.details.add()
    damaged.Pack(BadRequest())
    damaged.value = b"\xff"
    for packed, seconds in ((whole, 7.0), (details.SerializeToString(), None)):
        trailing = (("a-bin", b"\xff"), ("grpc-status-details-bin", packed))
        error = error_from_call(Failed(Code.RESOURCE_EXHAUSTED, "Wait.", *trailing))

        assert ("FULL", "Wait.") == (error.reason, error.message)
        assert seconds == error.retry_after_seconds


def test_an_error_that_says_nothing() -> None:
    """One that the client makes itself has no status, reason or fields unless it is given them."""
    error = UserStreamError("what")

    assert ("what", None, "", None, ()) == (
        str(error),
        error.code,
        error.reason,
        error.retry_after_seconds,
        error.field_violations,
    )
