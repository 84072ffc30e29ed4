"""The options that several commands share, each in one place."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from userstream_client._client import UserStreamClient
from userstream_client._retry import ResumePolicy
from userstream_client.cli._global_options import chosen_server
from userstream_client.models import Consistency, UserFilter

__all__ = [
    "AgeOver",
    "AgeUpTo",
    "Columns",
    "ConsistencyOption",
    "EmailDomain",
    "Fields",
    "FigureFormat",
    "Format",
    "FormatOption",
    "Layout",
    "Limit",
    "NamePrefix",
    "NoHeader",
    "NoResume",
    "PartitionOption",
    "ResumeToken",
    "Target",
    "Timeout",
    "Wide",
    "filter_from",
    "open_client",
]


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    NDJSON = "ndjson"
    CSV = "csv"


class FigureFormat(StrEnum):
    """How figures are printed."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are laid out.

    Attributes:
        columns: Their names with commas between; empty for all.
        wide: Whether a table on a terminal may be wider than the terminal.
        heading: Whether the names come first.
    """

    columns: str = ""
    wide: bool = False
    heading: bool = True


# Few attempts, so that a person who mistyped the target hears of it within a second or two.
_RESUME = ResumePolicy(first_attempts=5)
_FILTER = "Filter"
_CONNECTION = "Connection"
_OUTPUT = "Output"

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
        help="Read only these fields, with commas between, such as user_id,age; user_id always comes.",
    ),
]
Limit = Annotated[int, typer.Option(min=0, help="The most users; 0 for all.")]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format", help="A table is tab-separated text in a pipe.", rich_help_panel=_OUTPUT
    ),
]
Columns = Annotated[
    str,
    typer.Option(
        help="The columns to print, in this order, with commas between.", rich_help_panel=_OUTPUT
    ),
]
Wide = Annotated[
    bool,
    typer.Option(
        "--wide",
        help="Cut nothing in a table on a terminal; long lines wrap.",
        rich_help_panel=_OUTPUT,
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header", help="Leave out the line with the columns' names.", rich_help_panel=_OUTPUT
    ),
]
ResumeToken = Annotated[
    str, typer.Option(help="Resume where an earlier run with the same options stopped.")
]
PartitionOption = Annotated[
    str, typer.Option(help="Read only this key range, one of `userstream partitions`.")
]
ConsistencyOption = Annotated[
    Consistency, typer.Option(help="What is promised about rows that are written during the scan.")
]
Target = Annotated[
    str | None,
    typer.Option(
        help="The server as host:port. Default: USERSTREAM_TARGET, else 127.0.0.1:50051.",
        rich_help_panel=_CONNECTION,
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
    """Return a client for the server that the options and the settings name."""
    server = chosen_server(target)
    return UserStreamClient(
        server.target,
        token=server.token,
        profile=server.profile,
        timeout_seconds=timeout,
        resume=None if no_resume else _RESUME,
    )
