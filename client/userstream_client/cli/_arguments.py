"""The options that several commands share, each in one place."""

from enum import StrEnum
from typing import Annotated

import typer

from userstream_client._client import UserStreamClient
from userstream_client._retry import ResumePolicy
from userstream_client.models import Consistency, UserFilter

__all__ = [
    "AgeOver",
    "AgeUpTo",
    "ConsistencyOption",
    "EmailDomain",
    "Fields",
    "Format",
    "FormatOption",
    "Limit",
    "NamePrefix",
    "NoResume",
    "PartitionOption",
    "ResumeToken",
    "Target",
    "Timeout",
    "filter_from",
    "open_client",
]


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    NDJSON = "ndjson"
    CSV = "csv"


# A person who mistyped the target should hear of it within a second or two.
_RESUME = ResumePolicy(first_attempts=5)
_FILTER = "Filter"
_CONNECTION = "Connection"

AgeOver = Annotated[
    int | None, typer.Option(help="Strictly older than this, in years.", rich_help_panel=_FILTER)
]
AgeUpTo = Annotated[
    int | None, typer.Option(help="At most this old, in years.", rich_help_panel=_FILTER)
]
NamePrefix = Annotated[
    str, typer.Option(help="The name begins with exactly this.", rich_help_panel=_FILTER)
]
EmailDomain = Annotated[
    str, typer.Option(help="The e-mail address ends in @ and this.", rich_help_panel=_FILTER)
]
Fields = Annotated[
    str,
    typer.Option(
        "--fields",
        metavar="NAMES",
        help="Only these columns, with commas between, such as user_id,age; user_id always comes.",
    ),
]
Limit = Annotated[int, typer.Option(min=0, help="The most users; 0 for all.")]
FormatOption = Annotated[
    Format, typer.Option("--format", help="A table is tab-separated text in a pipe.")
]
ResumeToken = Annotated[
    str, typer.Option(help="Go on where an earlier run with the same options stopped.")
]
PartitionOption = Annotated[str, typer.Option(help="One key range; `userstream partitions` lists.")]
ConsistencyOption = Annotated[
    Consistency, typer.Option(help="What to promise about rows written meanwhile.")
]
Target = Annotated[
    str | None,
    typer.Option(
        help="The server, host:port; else USERSTREAM_TARGET.", rich_help_panel=_CONNECTION
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0.001, help="Limit of the whole call, in seconds.", rich_help_panel=_CONNECTION
    ),
]
NoResume = Annotated[
    bool,
    typer.Option(
        "--no-resume", help="Fail at the first interruption.", rich_help_panel=_CONNECTION
    ),
]


def filter_from(
    age_over: int | None, age_up_to: int | None, name_prefix: str, email_domain: str
) -> UserFilter:
    """Return the filter of four options."""
    return UserFilter(age_over, age_up_to, name_prefix, email_domain)


def open_client(
    target: str | None, timeout: float | None, *, no_resume: bool = False
) -> UserStreamClient:
    """Return a client as the options and the settings say."""
    return UserStreamClient(target, timeout_seconds=timeout, resume=None if no_resume else _RESUME)
