"""`userstream average-age`: an exact average over any number of users."""

from contextlib import closing
from typing import Annotated

import typer

from userstream_client._client import UserStreamClient
from userstream_client.cli import _arguments as args
from userstream_client.cli._printing import resumable, resume_command
from userstream_client.cli._problems import UsageProblem
from userstream_client.cli._progress import shown_progress
from userstream_client.models import AverageAge, AverageAgeProgress, UserFilter

__all__ = ["EXAMPLES", "average_age"]

EXAMPLES = (
    "userstream average-age",
    "userstream average-age --age-over 25 --histogram",
)


def average_age(
    *,
    histogram: Annotated[
        bool, typer.Option("--histogram", help="Also print how many users are of each age.")
    ] = False,
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
    if histogram and resume_token:
        raise UsageProblem("--resume-token does not go with --histogram: leave one out")
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        figures = _counted(client, where) if histogram else _scanned(client, where, resume_token)
    if figures.text is None:
        typer.echo("Average age of users: none, as no user matches")
    else:
        typer.echo(f"Average age of users: {figures.text}")
    for bar in figures.histogram:
        typer.echo(f"{bar.age}\t{bar.user_count}")


def _counted(client: UserStreamClient, where: UserFilter) -> AverageAge:
    with resumable(lambda: "nothing is kept of a histogram: repeat the command"):
        return client.average_age(where, include_histogram=True)


def _scanned(client: UserStreamClient, where: UserFilter, resume_token: str) -> AverageAge:
    """Read the figures as a stream, which shows its progress and can be resumed."""
    figures = AverageAgeProgress(0, 0, resume_token=resume_token)
    steps = client.stream_average_age(where, resume_token=resume_token)
    with (
        closing(steps),
        resumable(lambda: _kept(figures)),
        shown_progress("reading ages") as bar,
    ):
        for figures in steps:
            bar.update(figures.user_count, figures.progress.estimated_users)
    return figures


def _kept(figures: AverageAgeProgress) -> str:
    if not figures.resume_token:
        return "nothing is counted yet: repeat the command"
    command = resume_command({"--resume-token": figures.resume_token})
    return f"{figures.user_count:,} users are counted; resume with: {command}"
