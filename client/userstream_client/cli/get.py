"""`userstream get`: users by their ids."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from userstream_client.cli import _arguments as args
from userstream_client.cli._columns import columns_from
from userstream_client.cli._formats import escaped
from userstream_client.cli._output import Output
from userstream_client.cli._printing import resumable
from userstream_client.cli._problems import UsageProblem

__all__ = ["EXAMPLES", "get"]

EXAMPLES = (
    "userstream get 000e05d0-1798-4d06-a397-a31dea9e7ab5 --fields age",
    "userstream get - --format csv < ids.txt",
)

_IDS_AT_ONCE = 1000
"""What one call takes."""
_STDIN = "-"
_SHOWN_IDS = 10


def get(
    user_ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Ids of users; - reads them from stdin, one a line."),
    ],
    *,
    fields: args.Fields = "",
    style: args.FormatOption = args.Format.TABLE,
    columns: args.Columns = "",
    wide: args.Wide = False,
    no_header: args.NoHeader = False,
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Print the users with these ids, in their order; exit 1 if one of them does not exist."""
    read = columns_from(fields)
    output = Output(style, read.names, args.Layout(columns, wide, not no_header))
    wanted = list(_wanted(user_ids))
    missing: list[str] = []
    with (
        args.open_client(target, timeout, no_resume=no_resume) as client,
        resumable(lambda: "repeat the command"),
    ):
        for begin in range(0, len(wanted), _IDS_AT_ONCE):
            ids = wanted[begin : begin + _IDS_AT_ONCE]
            found = client.batch_get_users(ids, fields=read.fields)
            output.write(read.rows(found.users))
            missing += found.missing_user_ids
        output.close()
    if missing:
        _report(missing, len(wanted))


def _wanted(user_ids: list[str]) -> Iterator[str]:
    if _STDIN not in user_ids:
        yield from user_ids
        return
    if len(user_ids) > 1:
        raise UsageProblem("- stands for the ids on stdin: leave the others out")
    lines = (line.strip() for line in sys.stdin)
    yield from filter(None, lines)


def _report(missing: list[str], count: int) -> None:
    shown = ", ".join(map(escaped, missing[:_SHOWN_IDS]))
    more = ", …" if len(missing) > _SHOWN_IDS else ""
    print(  # noqa: T201
        f"userstream: {len(missing)} of {count} ids have no user: {shown}{more}", file=sys.stderr
    )
    raise typer.Exit(1)
