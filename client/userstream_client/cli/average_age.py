"""`userstream average-age`: an exact average over any number of users."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from userstream_client._client import UserStreamClient
from userstream_client.cli import _arguments as args
from userstream_client.cli._plot import plotted
from userstream_client.cli._printing import resumable, resume_command
from userstream_client.cli._problems import UsageProblem
from userstream_client.cli._progress import shown_progress
from userstream_client.models import AgeCount, AverageAge, AverageAgeProgress, UserFilter

__all__ = ["EXAMPLES", "average_age"]

EXAMPLES = (
    "userstream average-age",
    "userstream average-age --age-over 25 --histogram",
    "userstream average-age --watch",
    "userstream average-age --format json | jq .user_count",
)


def average_age(
    *,
    histogram: Annotated[
        bool,
        typer.Option(
            "--histogram",
            help="Also print how many users are of each age: as a plot on a terminal, else a line an age.",
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Also print the figures so far about once a second.")
    ] = False,
    style: Annotated[
        args.FigureFormat, typer.Option("--format", help="JSON is one object a line.")
    ] = args.FigureFormat.TEXT,
    age_over: args.AgeOver = None,
    age_up_to: args.AgeUpTo = None,
    name_prefix: args.NamePrefix = "",
    email_domain: args.EmailDomain = "",
    resume_token: args.ResumeToken = "",
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Print the average age of the users, to two decimals."""
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    if histogram and (resume_token or watch):
        given = "--watch" if watch else "--resume-token"
        raise UsageProblem(f"{given} does not go with --histogram: leave one out")
    print_figures = _print_json if style is args.FigureFormat.JSON else _print_text
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        if histogram:
            print_figures(_counted(client, where))
        else:
            shown = print_figures if watch else None
            print_figures(_scanned(client, where, resume_token, shown))


def _counted(client: UserStreamClient, where: UserFilter) -> AverageAge:
    with resumable(lambda: ""):  # it comes in one answer
        return client.average_age(where, include_histogram=True)


def _scanned(
    client: UserStreamClient,
    where: UserFilter,
    resume_token: str,
    watch: Callable[[AverageAge], None] | None,
) -> AverageAge:
    """Read the figures as a stream, which shows its progress and can be resumed.

    Args:
        client: Reads them.
        where: Of which users.
        resume_token: Of figures to resume after.
        watch: Prints the figures so far; None shows a bar instead.
    """
    figures = AverageAgeProgress(0, 0, resume_token=resume_token)
    steps = client.stream_average_age(where, resume_token=resume_token)
    with (
        closing(steps),
        resumable(lambda: _kept(figures)),
        shown_progress("reading ages", wanted=watch is None) as bar,
    ):
        for figures in steps:
            bar.update(figures.user_count, figures.progress.estimated_users)
            if watch and not figures.final:
                watch(figures)
    return figures


def _kept(figures: AverageAgeProgress) -> str:
    if not figures.resume_token:
        return ""
    command = resume_command({"--resume-token": figures.resume_token})
    return f"{figures.user_count:,} users are counted; resume with: {command}"


def _print_text(figures: AverageAge) -> None:
    if isinstance(figures, AverageAgeProgress) and not figures.final:
        fraction = figures.progress.fraction
        typer.echo(f"{figures.user_count:>15,} users  {fraction:>4.0%}  average {figures.text}")
    elif figures.text is None:
        typer.echo("Average age of users: none, as no user matches")
    else:
        typer.echo(f"Average age of users: {figures.text}")
        _print_histogram(figures.histogram)


def _print_histogram(histogram: Sequence[AgeCount]) -> None:
    if not sys.stdout.isatty():
        lines = [f"{bar.age}\t{bar.user_count}" for bar in histogram]
    else:
        width = shutil.get_terminal_size().columns
        blocks = "utf" in sys.stdout.encoding.lower()
        lines = list(plotted(histogram, width, blocks=blocks)) if histogram else []
    for line in lines:
        typer.echo(line)


def _print_json(figures: AverageAge) -> None:
    found: dict[str, object] = {
        "average_age": float(figures.text) if figures.text is not None else None,
        "user_count": figures.user_count,
        "age_sum": figures.age_sum,
    }
    if isinstance(figures, AverageAgeProgress):
        found["final"] = figures.final
    if figures.histogram:
        found["histogram"] = [asdict(bar) for bar in figures.histogram]
    typer.echo(json.dumps(found))
