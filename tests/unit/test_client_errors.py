"""From statuses to typed errors."""

from typing import Any

import grpc
import pytest
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


def test_broken_details_do_not_hide_a_status() -> None:
    """Details that cannot be read are passed over."""

    class Broken(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return Code.UNAVAILABLE

        def details(self) -> str | None:
            return None

        def trailing_metadata(self) -> Any:
            return (("grpc-status-details-bin", b"\xff\xff\xff"),)

    error = error_from_call(Broken())

    assert (UnavailableError, "the server cannot be reached") == (type(error), error.message)
