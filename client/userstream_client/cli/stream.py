"""`userstream stream`: users one after another."""

from userstream_client.cli import _arguments as args
from userstream_client.cli._columns import columns_from
from userstream_client.cli._output import Output
from userstream_client.cli._printing import print_stream
from userstream_client.models import Consistency

__all__ = ["EXAMPLES", "stream"]

EXAMPLES = (
    "userstream stream --limit 10",
    "userstream stream --age-over 25 --format csv > users.csv",
    "userstream stream --email-domain example.com --format ndjson | jq .name",
)


def stream(
    *,
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
    """Print users in order of user_id. Each is printed as soon as it comes."""
    layout = args.Layout(columns, wide, not no_header)
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    wanted = columns_from(fields)
    output = Output(style, wanted.names, layout)
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        users = client.stream_users(
            where,
            limit=limit,
            partition=partition,
            consistency=consistency,
            resume_token=resume_token,
            fields=wanted.fields,
        )
        print_stream(users.chunks(), output, wanted.rows)
