"""The command behind `scripts/seed.py`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import InternalError, UnavailableError, UserStreamError
from userstream_server.seeding.csv_users import CsvFormatError
from userstream_server.seeding.seed import (
    BATCH_ROWS,
    Progress,
    SeedReport,
    seed_csv,
    seed_sample,
    seed_synthetic,
)
from userstream_server.seeding.synthetic import KeyKind
from userstream_server.settings import SettingsError, load_settings

__all__ = ["main"]

# Plain text: usage errors go to pipes and logs too, where boxes are no help.
_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@_app.command(context_settings={"help_option_names": ["-h", "--help"]})
def seed(
    csv: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, readable=True, help="Add the users of this CSV file."
        ),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Add this many made-up users.")] = None,
    *,
    sample: Annotated[bool, typer.Option("--sample", help="Add the 1,000 sample users.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(help="The database; default: USERSTREAM_DATABASE_URL, which no ps shows."),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Where rows that are no users go [CSV.rejects.csv]."),
    ] = None,
    batch_rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Users in one transaction.")
    ] = BATCH_ROWS,
    random_seed: Annotated[int, typer.Option(help="The same number makes the same users.")] = 1,
    key_kind: Annotated[KeyKind, typer.Option(help="Keys of made-up users.")] = "uuid4",
) -> None:
    """Create user_data where it is missing and add users; those that are there already stay as they are."""
    if sum((csv is not None, rows is not None, sample)) != 1:
        raise typer.BadParameter("give one of --csv FILE, --rows N and --sample")
    with _failures():
        url = load_settings().database if database_url is None else _parse(database_url)
        if csv is not None:
            with _progress(csv.stat().st_size or None) as progress:
                report = seed_csv(
                    url, csv, rejects=rejects, batch_rows=batch_rows, progress=progress
                )
        elif rows is not None:
            with _progress(rows) as progress:
                report = seed_synthetic(
                    url,
                    rows,
                    random_seed=random_seed,
                    key_kind=key_kind,
                    batch_rows=batch_rows,
                    progress=progress,
                )
        else:
            report = seed_sample(url)
    raise typer.Exit(_tell(report))


def _tell(report: SeedReport) -> int:
    """Say what was done; return the exit code."""
    say = sys.stderr.write
    say(f"{report.new_users} users added, {report.known_users} were there already.\n")
    if not report.rejected_rows:
        return 0
    say(f"{report.rejected_rows} rows are no users; {report.rejects} says why.\n")
    return 1


def _parse(text: str) -> DatabaseUrl:
    try:
        return DatabaseUrl.parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"--database-url {error}") from None


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what can go wrong into one line and an exit code."""
    try:
        yield
    except (SettingsError, CsvFormatError) as error:
        raise _failure(str(error), 2) from None
    except FileExistsError as error:
        raise _failure(f"{error.filename} {error.strerror}", 2) from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise _failure(f"cannot read or write{where}: {error.strerror}", 1) from None
    except UserStreamError as error:
        raise _failure(_advice(error), 1) from None


def _advice(error: UserStreamError) -> str:
    """Return what to do, in words for whoever seeds: the error's own are meant for callers of the service."""
    if isinstance(error, UnavailableError):
        return (
            "the database does not answer, or went away. Check that it runs and what"
            " USERSTREAM_DATABASE_URL says, then seed again: users already added stay."
        )
    if isinstance(error, InternalError):
        number = getattr(error.__cause__, "errno", None) or getattr(
            error.__cause__, "sqlite_errorcode", "unknown"
        )
        return (
            f"the database refuses the users (its error {number}). Is it full, read-only, or"
            " user_data not as server/userstream_server/seeding/schema.sql says?"
        )
    return error.message


@contextmanager
def _progress(total: int | None) -> Iterator[Progress]:
    """Yield what to tell about progress: a bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("Seeding"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with ProgressBar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("seeding", total=total)
        yield lambda done: bar.advance(task, done)


def _failure(text: str, code: int) -> typer.Exit:
    for line in text.splitlines():
        sys.stderr.write(f"seed: {line}\n")
    return typer.Exit(code)


def main() -> None:
    """Run the command and exit: 0 done, 1 failed or rows rejected, 2 bad input, 130 interrupted."""
    _app()
