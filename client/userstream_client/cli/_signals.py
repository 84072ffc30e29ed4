"""Ctrl-C, SIGTERM and a closed terminal, as one exception that a command can answer."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

__all__ = ["Stopped", "end_of", "hold_signals", "stop_on_signals"]

_CODES = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "terminated"),
    signal.SIGHUP: (129, "hung up"),
}


class Stopped(BaseException):
    """A signal asked the command to end.

    Attributes:
        code: The exit code.
        word: How the message begins.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code, self.word = _CODES[signal.Signals(number)]


def end_of(stop: Stopped, kept: str) -> typer.Exit:
    """Print what is kept and how to resume, if anything is; return what ends the command."""
    print("; ".join(filter(None, [f"userstream: {stop.word}", kept])), file=sys.stderr)  # noqa: T201
    return typer.Exit(stop.code)


class _Holding:
    """Whether signals wait for the end of a step, and the one that does."""

    held = False
    waiting: int | None = None


_holding = _Holding()


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise Stopped in the block on Ctrl-C, SIGTERM and SIGHUP, those that are not ignored already.

    A second signal, while the block saves what it has, ends the process at once: that is as safe as SIGKILL.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    before = {
        number: signal.signal(number, _stop)
        for number in _CODES
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def hold_signals() -> Iterator[None]:
    """Let a signal of `stop_on_signals` wait until the block has ended: for a short step that must be whole."""
    _holding.held = True
    try:
        yield
    finally:
        _holding.held = False
        number, _holding.waiting = _holding.waiting, None
        if number is not None:
            raise Stopped(number)


def _stop(number: int, _frame: FrameType | None) -> None:
    for other in _CODES:
        if signal.getsignal(other) is _stop:
            signal.signal(other, _leave_at_once)
    if not _holding.held:
        raise Stopped(number)
    _holding.waiting = number


def _leave_at_once(number: int, _frame: FrameType | None) -> None:
    os._exit(_CODES[signal.Signals(number)][0])
