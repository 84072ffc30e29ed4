"""`userstream average-age`: an exact average over any number of users."""

import sys
from typing import Annotated, Self

import typer
from rich.console import Console

from userstream_client._client import UserStreamClient
from userstream_client.cli import _arguments as args
from userstream_client.models import AverageAge, UserFilter

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
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Print the average age of the users, to two decimals."""
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        ask = _counted if histogram else _scanned
        figures = ask(client, where)
    if figures.text is None:
        typer.echo("Average age of users: none, as no user matches")
    else:
        typer.echo(f"Average age of users: {figures.text}")
    for bar in figures.histogram:
        typer.echo(f"{bar.age}\t{bar.user_count}")


def _counted(client: UserStreamClient, where: UserFilter) -> AverageAge:
    return client.average_age(where, include_histogram=True)


def _scanned(client: UserStreamClient, where: UserFilter) -> AverageAge:
    """Read the figures as a stream, which shows its progress and can be resumed."""
    figures = AverageAge(0, 0)
    with (
        Console(stderr=True).status("reading ages") if sys.stderr.isatty() else _Silence() as status
    ):
        for step in client.stream_average_age(where):
            figures = step
            status.update(f"{step.user_count:,} users read ({step.progress.fraction:.0%})")
    return figures


class _Silence:
    """Stands in for the status line where nobody sees one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, status: str) -> None:
        """Do nothing."""
