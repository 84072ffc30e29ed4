"""A signal that lands inside gRPC comes out of the client as what its handler raised."""

import sys
from types import FrameType
from typing import Any

import pytest
from userstream_client import UserStreamClient
from userstream_testing.scripted_server import Hang, ScriptedServer, made_users, scan_script


class Stopped(BaseException):
    """What a program's own signal handler raises."""


class InterruptWaiting:
    """Raises at the nth step of gRPC's wait for a message, as a signal handler would at that point.

    Args:
        nth: The step, a bytecode instruction of `threading.Condition.wait`, from 1.
        error: What to raise.
    """

    def __init__(self, nth: int, error: BaseException) -> None:
        self._left = nth
        self._error = error
        # Coverage is measured by such a function too.
        self._before = sys.gettrace()

    def __enter__(self) -> None:
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_name != "wait" or not frame.f_code.co_filename.endswith("threading.py"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self._left -= 1
            if self._left == 0:
                raise self._error
        return self._trace


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Stopped])
def test_an_interrupt_at_any_step_of_the_wait_comes_out_as_itself(
    kind: type[BaseException],
) -> None:
    """Some of the steps leave gRPC's lock released, and its `with` block then fails with RuntimeError."""
    for nth in range(1, 100, 3):
        with (
            ScriptedServer(scan_script(made_users(5), Hang(), messages=1)) as server,
            UserStreamClient(server.target) as client,
            client.stream_users().chunks() as chunks,
        ):
            next(chunks)
            with pytest.raises(kind), InterruptWaiting(nth, kind()):
                next(chunks)
