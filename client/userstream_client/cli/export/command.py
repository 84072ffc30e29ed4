"""`userstream export`: users into one file, which appears whole or not at all."""

import time
from pathlib import Path
from typing import Annotated

import typer

from userstream_client._client import UserStreamClient
from userstream_client.cli import _arguments as args
from userstream_client.cli._columns import columns_from
from userstream_client.cli._compression import Compression
from userstream_client.cli._file_types import FileFormat, file_type_from
from userstream_client.cli._output import note
from userstream_client.cli._printing import times
from userstream_client.cli._problems import ExportProblem, UsageProblem
from userstream_client.cli._progress import check_mark, pace_of, shown_progress
from userstream_client.cli.export.lock import only_export_to
from userstream_client.cli.export.parts import PartReader
from userstream_client.cli.export.plan import STDOUT, Plan
from userstream_client.cli.export.publish import finish, is_published, settle
from userstream_client.cli.export.server_version import server_version
from userstream_client.cli.export.state import (
    ExportState,
    Part,
    manifest_draft,
    now,
    prove_parts,
    whole_path,
)
from userstream_client.cli.export.stopping import explained
from userstream_client.cli.export.to_stdout import check_stdout, write_to_stdout
from userstream_client.models import Consistency, Partition

__all__ = ["EXAMPLES", "export"]

EXAMPLES = (
    "userstream export --output users.csv",
    "userstream export --output users.parquet --partitions 4",
    "userstream export --output users.csv.gz --manifest",
    "userstream export --output users.csv.gz --manifest --resume",
    "userstream export --output - --format ndjson | jq .age",
)


def export(
    *,
    output: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="The file to write, replaced at the end; - is standard output."
        ),
    ],
    style: Annotated[
        FileFormat | None,
        typer.Option("--format", help="Default: what the file's name says, else csv."),
    ] = None,
    compression: Annotated[
        Compression | None,
        typer.Option("--compress", help="For csv and ndjson. Default: by the ending .gz or .zst."),
    ] = None,
    partition_count: Annotated[
        int, typer.Option("--partitions", min=1, max=32, help="Key ranges to read side by side.")
    ] = 1,
    manifest: Annotated[
        bool,
        typer.Option("--manifest", help="Also write FILE.manifest.json, for `userstream verify`."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume an export that was broken off.")
    ] = False,
    age_over: args.AgeOver = None,
    age_up_to: args.AgeUpTo = None,
    name_prefix: args.NamePrefix = "",
    email_domain: args.EmailDomain = "",
    limit: args.Limit = 0,
    fields: args.Fields = "",
    consistency: args.ConsistencyOption = Consistency.LIVE,
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Write users to a verified file, in order of user_id."""
    plan = Plan(
        output,
        Path(output).resolve(),
        file_type_from(output, style, compression, columns_from(fields)),
        args.filter_from(age_over, age_up_to, name_prefix, email_domain),
        limit,
        consistency,
        partition_count,
        manifest,
    )
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        if output == STDOUT:
            check_stdout(plan, resume=resume)
            note(write_to_stdout(client, plan))
            return
        plan.check()
        with explained(plan), only_export_to(plan.path):
            _export(client, plan, target, resume=resume)


def _export(client: UserStreamClient, plan: Plan, target: str | None, *, resume: bool) -> None:
    state = _saved(plan) if resume else None
    if state and is_published(state, plan.path):
        settle(state, plan.path)
        note(
            f"{check_mark()}{plan.shown} is already complete: {state.user_count:,} users, all accounted for"
        )
        return
    if state:
        prove_parts(state, plan.path)
    else:
        state = _begun(client, plan)
    kept, began = state.user_count, time.monotonic()
    with shown_progress("exporting") as bar:
        reader = PartReader(client, state, plan)
        reader.read(bar)
        bar.phase(f"writing {plan.shown}")
        finish(state, plan, server_version(target) if plan.manifest else None)
    resumed = f", resumed {times(reader.resumed_count)}" if reader.resumed_count else ""
    pace = pace_of(state.user_count - kept, time.monotonic() - began)
    note(
        f"{check_mark()}{state.user_count:,} users, all accounted for, in {plan.shown}{resumed} ({pace})"
    )


def _saved(plan: Plan) -> ExportState | None:
    """Return what an earlier run of the same export has left; None when it left nothing."""
    saved = ExportState.load(plan.path)
    if saved and saved.options != plan.options:
        raise UsageProblem(
            "--resume: the broken export had other options; repeat them, or leave --resume out"
        )
    return saved


def _begun(client: UserStreamClient, plan: Plan) -> ExportState:
    """Remove what an earlier export has left, and return the state of a new one."""
    _remove_last(plan.path)
    count = plan.partition_count
    ranges = client.partitions(count, plan.where) if count > 1 else [Partition("", 0)]
    parts = [Part(f".{plan.path.name}.part-{n}", r.partition) for n, r in enumerate(ranges)]
    state = ExportState(plan.options, parts, now())
    state.save(plan.path)  # from now on, whatever is left behind is known to belong to this export
    return state


def _remove_last(path: Path) -> None:
    """Remove an earlier export's files; a state that cannot be read is overwritten later."""
    for draft in (whole_path(path), manifest_draft(path)):
        draft.unlink(missing_ok=True)
    try:
        saved = ExportState.load(path)
    except ExportProblem:
        return
    if saved:
        saved.remove(path)
