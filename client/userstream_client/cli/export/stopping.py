"""What an export says when it cannot end: why, what is kept, and the command that continues it."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from userstream_client.cli._advice import said
from userstream_client.cli._problems import ExportProblem
from userstream_client.cli.export.plan import Plan
from userstream_client.cli.export.state import ExportState
from userstream_client.errors import DataIntegrityError, InvalidRequestError, UserStreamError

__all__ = ["Stopped", "explained", "stop_on_signals"]

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


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise Stopped in the block on Ctrl-C, SIGTERM and SIGHUP, those that are not ignored already.

    A second signal, while the block saves what it has, ends the process at once: that is as safe as SIGKILL.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    before = {
        number: signal.signal(number, _raise_stopped)
        for number in _CODES
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_stopped(number: int, _frame: FrameType | None) -> NoReturn:
    for other in _CODES:
        if signal.getsignal(other) is _raise_stopped:
            signal.signal(other, _leave_at_once)
    raise Stopped(number)


def _leave_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(_CODES[signal.Signals(number)][0])


@contextmanager
def explained(plan: Plan) -> Iterator[None]:
    """Turn whatever breaks an export off into one line that says what is kept and how to continue.

    Raises:
        ExportProblem: The export failed.
        typer.Exit: A signal ended it; the line is printed.
    """
    try:
        with stop_on_signals():
            yield
    except Stopped as stop:
        print(f"userstream: {stop.word}; {_kept(plan)}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(stop.code) from None
    except InvalidRequestError:
        raise
    except DataIntegrityError as error:
        raise ExportProblem(
            f"{error.message}; nothing was published to {plan.shown}: repeat the command without --resume"
        ) from None
    except UserStreamError as error:
        raise ExportProblem(f"{said(error)}; {_kept(plan)}") from None
    except OSError as error:
        raise ExportProblem(f"{_cannot_write(plan, error)}; {_kept(plan)}") from None


def _cannot_write(plan: Plan, error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot write {plan.shown}: {reason}{where}"


def _kept(plan: Plan) -> str:
    """Say what is on disk as the saved state has it, which may be less than what this run has read."""
    try:
        state = ExportState.load(plan.path)
    except (OSError, ExportProblem):
        state = None
    if state is None:
        return f"nothing of {plan.shown} is kept: repeat the command"
    kept = f"{state.user_count:,} users ({state.size_bytes:,} bytes) of {plan.shown} are kept"
    return f"{kept}; continue with: {_resume_command()}"


def _resume_command() -> str:
    words = sys.argv[1:]
    return shlex.join(["userstream", *words, *([] if "--resume" in words else ["--resume"])])
