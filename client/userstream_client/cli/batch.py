"""`userstream batch`: users in batches, by default those over 25."""

from itertools import count
from typing import Annotated

import typer

from userstream_client.cli import _arguments as args
from userstream_client.cli._columns import columns_from
from userstream_client.cli._formats import Row
from userstream_client.cli._output import Output
from userstream_client.cli._printing import print_stream
from userstream_client.models import Consistency, User

__all__ = ["EXAMPLES", "batch"]

EXAMPLES = (
    "userstream batch --batch-size 500",
    "userstream batch --age-over 40 --format ndjson > batches.ndjson",
)


def batch(
    *,
    batch_size: Annotated[
        int, typer.Option(min=0, max=10_000, help="Users a batch; 0 for the server's 1000.")
    ] = 0,
    age_over: args.AgeOver = None,
    age_up_to: args.AgeUpTo = None,
    name_prefix: args.NamePrefix = "",
    email_domain: args.EmailDomain = "",
    limit: args.Limit = 0,
    fields: args.Fields = "",
    style: args.FormatOption = args.Format.TABLE,
    columns: args.Columns = "",
    wide: args.Wide = False,
    no_header: args.NoHeader = False,
    partition: args.PartitionOption = "",
    consistency: args.ConsistencyOption = Consistency.LIVE,
    resume_token: args.ResumeToken = "",
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Print batches of users; without --age-over, of those over 25."""
    layout = args.Layout(columns, wide, not no_header)
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    wanted = columns_from(fields)
    output = Output(style, ("batch", *wanted.names), layout)
    numbers = count(1)

    def numbered(users: list[User]) -> list[Row]:
        number = next(numbers)
        return [(number, *row) for row in wanted.rows(users)]

    with args.open_client(target, timeout, no_resume=no_resume) as client:
        batches = client.batch_users(
            batch_size,
            where,
            limit=limit,
            partition=partition,
            consistency=consistency,
            resume_token=resume_token,
            fields=wanted.fields,
        )
        print_stream(batches, output, numbered)
