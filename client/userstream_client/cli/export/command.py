"""`userstream export`: all users into one file, which is whole or not there."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from userstream_client._client import UserStreamClient
from userstream_client.cli import _arguments as args
from userstream_client.cli._output import note
from userstream_client.cli._problems import ExportProblem, UsageProblem
from userstream_client.cli.export.lock import only_export_to
from userstream_client.cli.export.parts import PartReader
from userstream_client.cli.export.publish import COLUMNAR, check_columnar, finish
from userstream_client.cli.export.state import ExportState, Part, prove_parts
from userstream_client.errors import InvalidRequestError, UserStreamError
from userstream_client.models import Consistency, Partition, UserFilter

__all__ = ["ExportFormat", "export"]


class ExportFormat(StrEnum):
    """What the file holds; parquet and arrow need the extra `userstream[arrow]`."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


def export(
    *,
    output: Annotated[Path, typer.Option(help="The file; an old one is replaced at the end.")],
    style: Annotated[ExportFormat, typer.Option("--format")] = ExportFormat.CSV,
    partition_count: Annotated[
        int, typer.Option("--partitions", min=1, max=32, help="Key ranges to read side by side.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an export that was broken off.")
    ] = False,
    age_over: args.AgeOver = None,
    age_up_to: args.AgeUpTo = None,
    name_prefix: args.NamePrefix = "",
    email_domain: args.EmailDomain = "",
    limit: args.Limit = 0,
    consistency: args.ConsistencyOption = Consistency.LIVE,
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Write the users to a file, verified, in order of user_id."""
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    path = _checked(output, style, partition_count, limit)
    options = {
        "format": style.value,
        "where": asdict(where),
        "limit": limit,
        "consistency": consistency.value,
        "partitions": partition_count,
    }
    with (
        only_export_to(path),
        args.open_client(target, timeout, no_resume=no_resume) as client,
    ):
        state = _begin(client, path, options, where, resume=resume)
        reader = PartReader(
            client,
            state,
            path,
            where=where,
            consistency=consistency,
            limit=limit,
            style="ndjson" if style in COLUMNAR else style.value,
        )
        _read(reader)
        finish(state, path, style)
    note(f"{reader.user_count} users, all accounted for, in {output}")


def _checked(output: Path, style: ExportFormat, partition_count: int, limit: int) -> Path:
    """Return the file itself where `output` is a link, once it is sure that it can be written."""
    check_columnar(style)
    path = output.resolve()
    if limit and partition_count > 1:
        raise UsageProblem("--limit does not go with --partitions: leave one out")
    if path.exists() and not path.is_file():
        raise UsageProblem(f"--output {output} is not a file: name one")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageProblem(f"--output: the folder {path.parent} is missing or not writable")
    return path


def _begin(
    client: UserStreamClient,
    path: Path,
    options: dict[str, Any],
    where: UserFilter,
    *,
    resume: bool,
) -> ExportState:
    """Return the saved state, or that of a new export."""
    saved = ExportState.load(path) if resume else _last_state(path)
    if resume and saved:
        if saved.options != options:
            raise UsageProblem(
                "--resume: the broken export had other options; repeat them, or leave --resume out"
            )
        prove_parts(saved, path)
        return saved
    if saved:
        saved.remove(path)
    count = options["partitions"]
    ranges = client.partitions(count, where) if count > 1 else [Partition("", 0)]
    parts = [Part(f".{path.name}.part-{n}", r.partition) for n, r in enumerate(ranges)]
    state = ExportState(options, parts)
    state.save(path)  # from now on, whatever is left behind is known to belong to this export
    return state


def _last_state(path: Path) -> ExportState | None:
    """Return what an earlier export left, to be removed; a state that cannot be read is overwritten."""
    try:
        return ExportState.load(path)
    except ExportProblem:
        return None


def _read(reader: PartReader) -> None:
    try:
        with _shown() as show:
            reader.read(show)
    except UserStreamError as error:
        if not isinstance(error, InvalidRequestError):
            error.message += "; repeat the command with --resume to go on"
        raise


@contextmanager
def _shown() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _users, _estimated: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("exporting", total=None)
        yield lambda users, estimated: progress.update(
            task, completed=users, total=max(users, estimated) if estimated else None
        )
