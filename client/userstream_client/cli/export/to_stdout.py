"""An export to standard output: verified as any other, but nothing of it can be resumed."""

import sys
import time
from contextlib import closing
from typing import BinaryIO

from userstream_client._client import UserStreamClient
from userstream_client._streams import BatchStream
from userstream_client.cli._advice import said
from userstream_client.cli._compression import compressor_for
from userstream_client.cli._file_types import COLUMNAR, FileFormat
from userstream_client.cli._formats import encoder_for
from userstream_client.cli._output import give_up_stdout
from userstream_client.cli._printing import stdout_is_file, summed_up
from userstream_client.cli._problems import ExportProblem, UsageProblem
from userstream_client.cli._progress import Bar, shown_progress
from userstream_client.cli._signals import Stopped, end_of, stop_on_signals
from userstream_client.cli.export.plan import Plan
from userstream_client.errors import InvalidRequestError, UserStreamError

__all__ = ["check_stdout", "write_to_stdout"]


def check_stdout(plan: Plan, *, resume: bool) -> None:
    """Make sure that nothing is asked for that needs a file.

    Raises:
        UsageProblem: Something is.
    """
    needs_file = {
        "--resume": resume,
        "--partitions": plan.partition_count > 1,
        "--manifest": plan.manifest,
        f"--format {plan.file_type.format}": plan.file_type.format in COLUMNAR,
    }
    for option, given in needs_file.items():
        if given:
            raise UsageProblem(
                f"{option} does not go with --output -, standard output: name a file"
            )


def write_to_stdout(client: UserStreamClient, plan: Plan) -> str:
    """Write all users to standard output; return a line about it once the receipt has agreed.

    Raises:
        ExportProblem: What was written is not the whole.
        typer.Exit: A signal ended it; the line is printed.
    """
    stream = client.stream_users(
        plan.where,
        limit=plan.limit,
        consistency=plan.consistency,
        fields=plan.file_type.columns.fields,
    )
    began = time.monotonic()
    with closing(stream.chunks()) as chunks:
        try:
            with stop_on_signals(), shown_progress("exporting", wanted=stdout_is_file()) as bar:
                _copy(plan, chunks, sys.stdout.buffer, bar)
        except Stopped as stop:
            raise end_of(stop, _written(chunks)) from None
        except InvalidRequestError:
            raise
        except UserStreamError as error:
            raise ExportProblem(f"{said(error)}; {_written(chunks)}") from None
        except OSError as error:
            give_up_stdout()
            reason = f"cannot write to standard output: {error.strerror}"
            raise ExportProblem(f"{reason}; {_written(chunks)}") from None
        return summed_up(
            chunks.receipt,
            chunks.receipt.user_count if chunks.receipt else 0,
            time.monotonic() - began,
        )


def _copy(plan: Plan, chunks: BatchStream, output: BinaryIO, bar: Bar) -> None:
    encode = encoder_for(plan.file_type.format)
    member = compressor_for(plan.file_type.compression)
    columns = plan.file_type.columns
    if plan.file_type.format is FileFormat.CSV:
        output.write(member.compress(encode(columns.names, [columns.names]).encode()))
    for users in chunks:
        output.write(member.compress(encode(columns.names, columns.rows(users)).encode()))
        output.flush()
        if progress := chunks.progress:
            bar.update(progress.users_sent, progress.estimated_users, chunks.resumed_count)
    output.write(member.flush())
    output.flush()


def _written(chunks: BatchStream) -> str:
    count = chunks.progress.users_sent if chunks.progress else 0
    return (
        f"what was written to standard output (at most {count:,} users) is not the whole, and cannot be resumed:"
        " repeat the command, or name a file with --output to keep what was read"
    )
