"""`userstream partitions`: key ranges to read side by side."""

from typing import Annotated

import typer

from userstream_client.cli import _arguments as args
from userstream_client.cli._output import Output

__all__ = ["EXAMPLES", "partitions"]

EXAMPLES = (
    "userstream partitions --count 4",
    "userstream stream --partition PARTITION --format csv",
)


def partitions(
    *,
    count: Annotated[int, typer.Option(help="How many, 1 to 1000.")] = 8,
    age_over: args.AgeOver = None,
    age_up_to: args.AgeUpTo = None,
    name_prefix: args.NamePrefix = "",
    email_domain: args.EmailDomain = "",
    style: args.FormatOption = args.Format.TABLE,
    columns: args.Columns = "",
    wide: args.Wide = False,
    no_header: args.NoHeader = False,
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Print key ranges of about equal size. Read each with `stream --partition` and the same filter."""
    layout = args.Layout(columns, wide, not no_header)
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    output = Output(style, ("partition", "estimated_users"), layout)
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        found = client.partitions(count, where)
    output.write([(p.partition, p.estimated_users) for p in found])
    output.close()
