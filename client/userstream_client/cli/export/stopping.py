"""What an export says when it cannot end: why, what is kept, and the command that resumes it."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from userstream_client.cli._advice import said
from userstream_client.cli._problems import ExportProblem
from userstream_client.cli._signals import Stopped, end_of, stop_on_signals
from userstream_client.cli.export.plan import Plan
from userstream_client.cli.export.state import ExportState
from userstream_client.errors import DataIntegrityError, InvalidRequestError, UserStreamError

__all__ = ["explained"]


@contextmanager
def explained(plan: Plan) -> Iterator[None]:
    """Turn whatever breaks an export off into one line that says what is kept and how to resume.

    Raises:
        ExportProblem: The export failed.
        typer.Exit: A signal ended it; the line is printed.
    """
    try:
        with stop_on_signals():
            yield
    except Stopped as stop:
        raise end_of(stop, _kept(plan)) from None
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
    return f"{kept}; resume with: {_resume_command()}"


def _resume_command() -> str:
    words = sys.argv[1:]
    return shlex.join(["userstream", *words, *([] if "--resume" in words else ["--resume"])])
