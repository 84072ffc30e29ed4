"""A request that does not come in time is REQUEST_TIMEOUT, in whatever way gRPC ends the wait."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import grpc
import pytest
from userstream_server.errors import DeadlineError
from userstream_server.interceptors.stalls import StallInterceptor


class Context:
    """The part of gRPC's context that ends a call."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.code: Any = None

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def set_code(self, code: Any) -> None:
        self.code = code

    def cancel(self) -> None:
        self.cancelled.set()


@pytest.fixture
def stalls() -> Iterator[StallInterceptor]:
    with closing(StallInterceptor(60.0, 0.05)) as made:
        yield made


def wait_for_nothing(stalls: StallInterceptor, context: Context, ending: str) -> None:
    """Wait for a request until the call is ended."""
    with stalls.awaiting_request(cast("grpc.ServicerContext", context)):
        assert context.cancelled.wait(10)
        if ending == "with an error":
            raise grpc.RpcError


@pytest.mark.parametrize("ending", ["quietly", "with an error"])
def test_request_timeout(stalls: StallInterceptor, ending: str) -> None:
    """The requests end without one, or raise: both mean that the time was over."""
    context = Context()
    with pytest.raises(DeadlineError) as caught:
        wait_for_nothing(stalls, context, ending)

    assert caught.value.reason == "REQUEST_TIMEOUT"
    assert grpc.StatusCode.DEADLINE_EXCEEDED is context.code


def test_in_time(stalls: StallInterceptor) -> None:
    """A request that comes in time is not disturbed."""
    context = Context()
    with stalls.awaiting_request(cast("grpc.ServicerContext", context)):
        pass

    assert not context.cancelled.is_set()
