"""`userstream verify`: an export against the table as it is now, or against its manifest."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from userstream_client._client import UserStreamClient
from userstream_client._streams import BatchStream
from userstream_client.cli import _arguments as args
from userstream_client.cli._columns import Columns, columns_from
from userstream_client.cli._file_types import FileFormat
from userstream_client.cli._manifest import Manifest
from userstream_client.cli._output import say_verdict
from userstream_client.cli._problems import ExportProblem, UsageProblem
from userstream_client.cli.verify.file_type import file_type_of
from userstream_client.cli.verify.findings import Comparison, shown_users
from userstream_client.cli.verify.receipt import compare_with_manifest
from userstream_client.cli.verify.table import compare_with_table
from userstream_client.models import Consistency, UserFilter

__all__ = ["EXAMPLES", "Against", "verify"]

EXAMPLES = (
    "userstream verify users.csv",
    "userstream verify users.csv.gz --against manifest",
)


class Against(StrEnum):
    """What a file is compared with."""

    TABLE = "table"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which users of the table a file should hold."""

    where: UserFilter
    limit: int

    def name(self, columns: Columns) -> str:
        """Return what to call them."""
        return f"the table{shown_users(self.where, self.limit, columns)}"

    def stream(
        self, client: UserStreamClient, consistency: Consistency, columns: Columns
    ) -> BatchStream:
        """Return their stream with these columns."""
        users = client.stream_users(
            self.where, limit=self.limit, consistency=consistency, fields=columns.fields
        )
        return users.chunks()


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An export, compressed or not.")],
    *,
    against: Annotated[
        Against | None,
        typer.Option(
            help="The table as it is now, or FILE.manifest.json; by default the manifest if it is there."
        ),
    ] = None,
    style: Annotated[
        FileFormat | None,
        typer.Option(
            "--format", help="By default as the manifest, the name or the first bytes say."
        ),
    ] = None,
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
    """Check that an export is whole and unchanged. Exit 0 if it is equal, 1 if it differs.

    Filter, limit and fields are those of the manifest unless they are given.
    """
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    columns = columns_from(fields) if fields else None
    asked = Asked(where, limit) if where != UserFilter() or limit else None
    manifest = _manifest_of(file, against)
    with _readable(file):
        file_type = file_type_of(file, style, manifest, columns)
        if manifest and _wants_manifest(against, asked):
            comparison = compare_with_manifest(file, file_type, manifest)
        else:
            asked = asked or _asked_by(manifest)
            with (
                args.open_client(target, timeout, no_resume=no_resume) as client,
                closing(asked.stream(client, consistency, file_type.columns)) as chunks,
            ):
                name = asked.name(file_type.columns)
                comparison = compare_with_table(file, file_type, chunks, name)
    _report(comparison, file)


def _manifest_of(file: Path, against: Against | None) -> Manifest | None:
    path = Manifest.path_for(file.resolve())
    if against is not Against.MANIFEST and not path.exists():
        return None
    try:
        return Manifest.load(path)
    except UsageProblem:
        if against is Against.TABLE:
            return None  # it is not needed
        raise


def _wants_manifest(against: Against | None, asked: "Asked | None") -> bool:
    if against is Against.MANIFEST and asked:
        raise UsageProblem("a filter or --limit goes with --against table: a manifest has its own")
    return against is not Against.TABLE and not asked


def _asked_by(manifest: Manifest | None) -> "Asked":
    return Asked(manifest.where, manifest.limit) if manifest else Asked(UserFilter(), 0)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageProblem(f"cannot read {file}: {error.strerror or error}") from None
    except sqlite3.Error:
        raise ExportProblem(
            f"{file} differs, but there is no room to say how: set SQLITE_TMPDIR to a folder with about"
            " 200 bytes for each user of file and table"
        ) from None


def _report(comparison: Comparison, file: Path) -> None:
    for line in comparison.lines(str(file)):
        say_verdict(line)
    if not comparison.equal:
        raise typer.Exit(1)
