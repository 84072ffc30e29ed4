"""`userstream stream`: users one after another."""

from contextlib import closing

from userstream_client._streams import BatchStream
from userstream_client.cli import _arguments as args
from userstream_client.cli._output import USER_COLUMNS, Output, note
from userstream_client.errors import DataIntegrityError, InvalidRequestError, UserStreamError
from userstream_client.models import Consistency, Receipt

__all__ = ["EXAMPLES", "explained", "stream", "summed_up"]

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
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        users = client.stream_users(
            where,
            limit=limit,
            partition=partition,
            consistency=consistency,
            resume_token=resume_token,
        )
        with closing(users.chunks()) as chunks:
            output = Output(style, USER_COLUMNS, layout)
            try:
                for chunk in chunks:
                    output.write(chunk)
            except UserStreamError as error:
                raise explained(error, chunks) from None
            output.close()
            note(summed_up(chunks.receipt))


def explained(error: UserStreamError, stream: BatchStream) -> UserStreamError:
    """Return the error with the token from which another run can resume, where that is of use.

    After wrong data it is not: the rest would be read without the users before it, so their CRC-32
    would go unchecked.
    """
    final = isinstance(error, (InvalidRequestError, DataIntegrityError))
    if stream.resume_token and not final:
        error.message += f"; go on with --resume-token {stream.resume_token}"
    return error


def summed_up(receipt: Receipt | None) -> str:
    """Return a line about a finished stream."""
    if receipt is None:
        return ""
    resumed = f", resumed {receipt.resumed_count} times" if receipt.resumed_count else ""
    return f"{receipt.user_count} users, all accounted for{resumed}"
