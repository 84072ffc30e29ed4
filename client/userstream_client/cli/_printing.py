"""Printing a stream of users, and what is said when it does not come to its end."""

import os
import shlex
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from userstream_client._streams import BatchStream
from userstream_client.cli._advice import said
from userstream_client.cli._formats import Row
from userstream_client.cli._output import Output, give_up_stdout, note
from userstream_client.cli._problems import Problem
from userstream_client.cli._progress import check_mark, pace_of, shown_progress
from userstream_client.cli._signals import Stopped, end_of, hold_signals, stop_on_signals
from userstream_client.errors import DataIntegrityError, InvalidRequestError, UserStreamError
from userstream_client.models import Receipt, User

__all__ = ["print_stream", "resumable", "resume_command", "stdout_is_file", "summed_up", "times"]


def print_stream(
    stream: BatchStream, output: Output, rows_of: Callable[[list[User]], Sequence[Row]]
) -> None:
    """Print a stream to its end, with a bar where it goes into a file.

    Args:
        stream: Closed at the end.
        output: Where to.
        rows_of: Makes rows of a list of users.

    Raises:
        Problem: The stream broke; the text says how to resume it.
        typer.Exit: A signal ended it; the same is printed.
    """
    printed = _Printed(output)
    into_file = stdout_is_file()
    began = time.monotonic()
    with (
        closing(stream),
        resumable(printed.kept),
        shown_progress("reading", wanted=into_file) as bar,
    ):
        for users in stream:
            printed.write(rows_of(users), whole=into_file)
            printed.token = stream.resume_token
            if progress := stream.progress:
                bar.update(progress.users_sent, progress.estimated_users, stream.resumed_count)
        output.close()
    note(summed_up(stream.receipt, printed.users, time.monotonic() - began))


@contextmanager
def resumable(kept: Callable[[], str]) -> Iterator[None]:
    """Say what is kept and how to resume when the block breaks.

    Args:
        kept: Returns that; empty if nothing is.

    Raises:
        Problem: A call failed, or standard output did.
        typer.Exit: A signal ended it; the line is printed.
    """
    try:
        with stop_on_signals():
            yield
    except Stopped as stop:
        give_up_stdout()
        raise end_of(stop, kept()) from None
    except BrokenPipeError:
        raise  # whoever read has enough
    except OSError as error:
        give_up_stdout()
        reason = f"cannot write to standard output: {error.strerror}"
        raise Problem(_joined(reason, kept())) from None
    except InvalidRequestError:
        raise
    except DataIntegrityError as error:
        # No resume: the rest would be read without the users before it, so their CRC-32 would go unchecked.
        raise Problem(f"{said(error)}; repeat the command") from None
    except UserStreamError as error:
        raise Problem(_joined(said(error), kept())) from None


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


class _Printed:
    """What was printed so far.

    Args:
        output: Where to.

    Attributes:
        users: How many.
        token: Resumes after them; empty for the start.
    """

    def __init__(self, output: Output) -> None:
        self.users = 0
        self.token = ""
        self._output = output
        self._within = False

    def write(self, rows: Sequence[Row], *, whole: bool) -> None:
        """Print rows.

        Args:
            rows: One for each user.
            whole: Whether a signal must wait for all of them; a pipe might never take them.
        """
        self._within = True
        if whole:
            with hold_signals():
                self._output.write(rows)
                self._within = False
        else:
            self._output.write(rows)
        self._within = False
        self.users += len(rows)

    def kept(self) -> str:
        """Say what is printed and how to resume; empty before the first user."""
        if not self.token:
            return ""
        within = ", and perhaps some of the next" if self._within else ""
        command = resume_command({"--resume-token": self.token}, heading=self._output.has_heading)
        return f"{self.users:,} users are printed{within}; resume with: {command}"


def resume_command(options: dict[str, str], *, heading: bool = False) -> str:
    """Return this run's command with other values of some options.

    Args:
        options: Their new values; empty to leave one out.
        heading: Whether a heading was printed, which must not come twice.
    """
    words = _without(sys.argv[1:], options)
    if heading and "--no-header" not in words:
        words.append("--no-header")
    for option, value in options.items():
        words += [option, value] if value else []
    return shlex.join(["userstream", *words])


def _without(words: list[str], options: dict[str, str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and word not in options and word.partition("=")[0] not in options:
            kept.append(word)
        skip = not skip and word in options
    return kept


def stdout_is_file() -> bool:
    """Say whether standard output is a file, so that a bar disturbs nobody."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except OSError:
        return False


def summed_up(receipt: Receipt | None, users: int, seconds: float) -> str:
    """Return a line about a finished stream.

    Args:
        receipt: The verified one.
        users: How many came in this run.
        seconds: How long that took.
    """
    if receipt is None:
        return ""
    resumed = f", resumed {times(receipt.resumed_count)}" if receipt.resumed_count else ""
    return (
        f"{check_mark()}{receipt.user_count:,} users, all accounted for{resumed}"
        f" ({pace_of(users, seconds)})"
    )


def times(count: int) -> str:
    """Return how often, in words."""
    return "once" if count == 1 else f"{count} times"
