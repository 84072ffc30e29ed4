"""How a call that fails is ended, and what is logged and counted of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2, status_pb2
from structlog.testing import capture_logs
from userstream_server.call_stats import begin_call_stats
from userstream_server.errors import InternalError, OverloadedError, UserStreamError
from userstream_server.interceptors.base import Call
from userstream_server.interceptors.status import StatusInterceptor

REFUSED = OverloadedError("TOO_MANY_CALLS", "Try again later.")


class AbortedError(Exception):
    """What gRPC raises to end a call."""


class Context:
    """The part of gRPC's context that ends calls."""

    def __init__(self) -> None:
        self.ended: list[tuple[grpc.StatusCode, str]] = []
        self.trailing: tuple[tuple[str, Any], ...] | None = None
        self.status: grpc.StatusCode | None = None

    def code(self) -> grpc.StatusCode | None:
        return self.status

    def trailing_metadata(self) -> tuple[tuple[str, Any], ...] | None:
        return self.trailing

    def set_trailing_metadata(self, trailing: tuple[tuple[str, Any], ...]) -> None:
        self.trailing = trailing

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.ended.append((code, details))
        raise AbortedError


@pytest.fixture
def context() -> Context:
    """Return the context of a call that has just begun."""
    structlog.contextvars.clear_contextvars()
    begin_call_stats("StreamUsers")
    return Context()


@contextmanager
def call_of(context: Context) -> Iterator[list[Any]]:
    """Run the block as a call; yield the list that gets what is logged."""
    call = Call("/userstream.v1.UserService/StreamUsers", cast("grpc.ServicerContext", context))
    with capture_logs() as logged, StatusInterceptor().around(call):
        yield cast("list[Any]", logged)


def aborted(context: Context, error: BaseException) -> list[Any]:
    """Run a call whose error ends it; return what was logged."""
    with pytest.raises(AbortedError), call_of(context) as logged:
        raise error
    return logged


def test_a_call_that_succeeds(context: Context) -> None:
    """It is left alone."""
    with call_of(context) as logged:
        pass

    assert [] == logged
    assert ([], None) == (context.ended, context.trailing)


@pytest.mark.parametrize("before", [None, (("request-id", "17"),)])
def test_an_error_of_ours(context: Context, before: tuple[tuple[str, str]] | None) -> None:
    """Its status joins the metadata set before, and its reason stands in the call's log line and stats."""
    stats = begin_call_stats("StreamUsers")
    context.trailing = before
    assert [] == aborted(context, REFUSED)

    assert [(grpc.StatusCode.RESOURCE_EXHAUSTED, "Try again later.")] == context.ended
    assert context.trailing is not None
    kept, (key, details) = context.trailing[:-1], context.trailing[-1]
    assert (before or (), "grpc-status-details-bin") == (kept, key)
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert "TOO_MANY_CALLS" == info.reason == stats.reason
    assert {"reason": "TOO_MANY_CALLS"} == structlog.contextvars.get_contextvars()


def test_a_defect(context: Context) -> None:
    """It ends as INTERNAL; the log has its type and where it was, and nobody gets its text."""
    (line,) = aborted(context, ValueError("ada@example.com"))

    assert [(grpc.StatusCode.INTERNAL, InternalError.TEXT)] == context.ended
    assert ("defect", "error", "ValueError") == (line["event"], line["log_level"], line["error"])
    assert line["where"][-1].startswith("test_status_interceptor.py:")
    assert line["where"][-1].endswith(" in aborted")
    assert "ada" not in f"{line} {context.trailing}"
    assert {"reason": "INTERNAL"} == structlog.contextvars.get_contextvars()


def test_what_a_library_has_ended(context: Context) -> None:
    """A call that has its status already keeps it."""
    context.status = grpc.StatusCode.NOT_FOUND
    with pytest.raises(KeyError), call_of(context):
        raise KeyError

    assert [] == context.ended


def failing(number: int | None) -> UserStreamError:
    """Return our error for one of the driver's."""
    cause = RuntimeError("SELECT ... 'ada@example.com'")
    if number:
        cause.errno = number  # type: ignore[attr-defined]
    try:
        raise cause
    except RuntimeError as error:
        wrapped = InternalError("DATABASE_ERROR")
        wrapped.__cause__ = error
        return wrapped


@pytest.mark.parametrize("number", [1064, None])
def test_an_error_of_the_driver(context: Context, number: int | None) -> None:
    """The log has its number and where it came from: its text can hold values."""
    (line,) = aborted(context, failing(number))

    assert ("database_error", "error", number) == (
        line["event"],
        line["log_level"],
        line["number"],
    )
    assert line["where"][-1].endswith(" in failing")
    assert "ada" not in str(line)
    assert {"reason": "DATABASE_ERROR"} == structlog.contextvars.get_contextvars()


def test_only_defects_are_logged_with_their_cause(context: Context) -> None:
    """What the caller did, or a limit, says enough by its reason; so does a defect without a cause."""
    refused = OverloadedError("TOO_MANY_CALLS", "Try again later.")
    refused.__cause__ = ValueError("x")

    assert [] == aborted(context, refused)
    assert [] == aborted(context, InternalError())


def deep(depth: int) -> None:
    if depth:
        deep(depth - 1)
    raise ValueError


def test_a_long_stack_is_cut(context: Context) -> None:
    """The log has the eight calls that are nearest to the fault."""
    error: Exception = ValueError()
    try:
        deep(20)
    except ValueError as raised:
        error = raised
    (line,) = aborted(context, error)

    assert [" in deep"] * 8 == [where[where.index(" in ") :] for where in line["where"]]
