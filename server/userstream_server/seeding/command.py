"""The command `userstream-server seed`, which `scripts/seed.py` runs too."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import InternalError, UnavailableError, UserStreamError
from userstream_server.seeding.csv_format import CsvFormatError
from userstream_server.seeding.csv_source import DECOMPRESSION_ERRORS, STDIN
from userstream_server.seeding.progress import check_mark, shown_progress
from userstream_server.seeding.seed import (
    BATCH_ROWS,
    SeedInterrupted,
    SeedReport,
    seed_csv,
    seed_sample,
    seed_synthetic,
)
from userstream_server.seeding.summary import summary_of
from userstream_server.seeding.synthetic import KeyKind
from userstream_server.settings import SettingsError, load_settings

__all__ = ["HELP_OPTIONS", "main", "seed"]

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
_DAMAGED = "the .gz file is damaged or cut off. Users before the damage are added; seed again with a whole file."
# Plain text: usage errors go to pipes and logs too, where boxes are no help.
_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@_app.command(context_settings=HELP_OPTIONS)
def seed(
    csv: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Store the users of this CSV file (.gz too; - is standard input).",
        ),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Store this many made-up users.")] = None,
    *,
    sample: Annotated[bool, typer.Option("--sample", help="Store the 1,000 sample users.")] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Replace stored values that differ; else they are conflicts."
        ),
    ] = False,
    database_url: Annotated[
        str | None,
        typer.Option(help="The database; default: USERSTREAM_DATABASE_URL, which no ps shows."),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Where rejected rows go [CSV.rejects.csv]."),
    ] = None,
    batch_rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Users in one transaction.")
    ] = BATCH_ROWS,
    random_seed: Annotated[int, typer.Option(help="The same number makes the same users.")] = 1,
    key_kind: Annotated[KeyKind, typer.Option(help="Keys of made-up users.")] = "uuid4",
) -> None:
    """Create user_data where it is missing and store users; a user that is stored with other values is a conflict."""
    if sum((csv is not None, rows is not None, sample)) != 1:
        raise typer.BadParameter("give one of --csv FILE, --rows N and --sample")
    # Not typer's own check: its allow_dash has no effect on a Path.
    if csv is not None and csv != STDIN and not os.access(csv, os.R_OK):
        raise typer.BadParameter(f"--csv {csv} does not exist or cannot be read")
    with _failures():
        url = load_settings().database if database_url is None else _parse(database_url)
        options = _Options(url, update, batch_rows, rejects)
        if csv is not None:
            report = _seed_file(options, csv)
        elif rows is not None:
            report = _seed_made_up(options, rows, random_seed, key_kind)
        else:
            report = seed_sample(url, rejects=rejects, update=update)
    sys.stderr.write(check_mark() if not report.rejected_rows else "")
    for line in summary_of(report):
        sys.stderr.write(line + "\n")
    raise typer.Exit(1 if report.rejected_rows else 0)


@dataclass(frozen=True, slots=True)
class _Options:
    """What applies to every source of users."""

    url: DatabaseUrl
    update: bool
    batch_rows: int
    rejects: Path | None


def _seed_file(options: _Options, csv: Path) -> SeedReport:
    total_bytes = None if csv == STDIN else csv.stat().st_size
    with shown_progress(total_bytes or None, unit="bytes") as progress:
        return seed_csv(
            options.url,
            csv,
            rejects=options.rejects,
            update=options.update,
            batch_rows=options.batch_rows,
            progress=progress,
        )


def _seed_made_up(options: _Options, rows: int, random_seed: int, key_kind: KeyKind) -> SeedReport:
    with shown_progress(rows, unit="users") as progress:
        return seed_synthetic(
            options.url,
            rows,
            random_seed=random_seed,
            key_kind=key_kind,
            rejects=options.rejects or Path("users.rejects.csv"),
            update=options.update,
            batch_rows=options.batch_rows,
            progress=progress,
        )


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
    except SettingsError as error:
        raise _failure(str(error), 2) from None
    except CsvFormatError as error:
        shown = f"\nfirst line: {error.first_line}" if error.first_line else ""
        raise _failure(f"{error}{shown}", 2) from None
    except FileExistsError as error:
        raise _failure(f"{error.filename} {error.strerror}", 2) from None
    except DECOMPRESSION_ERRORS:
        raise _failure(_DAMAGED, 1) from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise _failure(f"cannot read or write{where}: {error.strerror}", 1) from None
    except UserStreamError as error:
        raise _failure(_advice(error), 1) from None
    except SeedInterrupted as stop:
        raise _failure(_interrupted(stop.report), 130) from None


def _interrupted(report: SeedReport) -> str:
    users = report.new_users + report.unchanged_users + report.updated_users
    return (
        f"interrupted; at least {users:,} users are stored. To resume, run the same command again: it skips what is"
        " stored"
    )


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
            f"the database refuses the users (its error {number}). Is it full or read-only, or user_data of another"
            " shape than the table that seeding creates?"
        )
    return error.message


def _failure(text: str, code: int) -> typer.Exit:
    for line in text.splitlines():
        sys.stderr.write(f"seed: {line}\n")
    return typer.Exit(code)


def main() -> None:
    """Run the command and exit: 0 done, 1 failed or rows rejected, 2 bad input, 130 interrupted."""
    _app()
