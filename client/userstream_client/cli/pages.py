"""`userstream pages`: one page after another, each read only when the one before is printed."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from userstream_client.cli import _arguments as args
from userstream_client.cli._columns import Columns, columns_from
from userstream_client.cli._output import Output
from userstream_client.cli._printing import resumable, resume_command
from userstream_client.models import Page

__all__ = ["EXAMPLES", "pages"]

EXAMPLES = (
    "userstream pages --page-size 20 --page-limit 1",
    "userstream pages --page-size 20 --page-limit 1 --page-token TOKEN",
)


def pages(
    *,
    page_size: Annotated[
        int, typer.Option(min=0, max=10_000, help="Users a page; 0 for the server's 100.")
    ] = 0,
    page_limit: Annotated[int, typer.Option(min=0, help="The most pages; 0 for all.")] = 0,
    offset: Annotated[int, typer.Option(min=0, help="Skip this many users first.")] = 0,
    page_token: Annotated[str, typer.Option(help="Resume after an earlier page.")] = "",
    age_over: args.AgeOver = None,
    age_up_to: args.AgeUpTo = None,
    name_prefix: args.NamePrefix = "",
    email_domain: args.EmailDomain = "",
    fields: args.Fields = "",
    style: args.FormatOption = args.Format.TABLE,
    columns: args.Columns = "",
    wide: args.Wide = False,
    no_header: args.NoHeader = False,
    target: args.Target = None,
    timeout: args.Timeout = None,
    no_resume: args.NoResume = False,
) -> None:
    """Print pages of users. If more follow, stderr has the token of the next one."""
    where = args.filter_from(age_over, age_up_to, name_prefix, email_domain)
    wanted, layout = columns_from(fields), args.Layout(columns, wide, not no_header)
    printed = _Printed(Output(style, ("page", *wanted.names), layout), wanted)
    with args.open_client(target, timeout, no_resume=no_resume) as client:
        found = client.lazy_paginate(
            page_size,
            where,
            page_token=page_token,
            offset=offset,
            page_limit=page_limit,
            fields=wanted.fields,
        )
        with closing(found), resumable(lambda: printed.kept(page_limit)):
            for page in found:
                printed.write(page)
            printed.output.close()
    if printed.next_page_token:
        print(f"more with: --page-token {printed.next_page_token}", file=sys.stderr)  # noqa: T201


class _Printed:
    """What was printed so far."""

    def __init__(self, output: Output, columns: Columns) -> None:
        self.output = output
        self._columns = columns
        self.pages = 0
        self.next_page_token = ""

    def write(self, page: Page) -> None:
        self.output.write([(page.page_number, *row) for row in self._columns.rows(page.users)])
        self.pages += 1
        self.next_page_token = page.next_page_token

    def kept(self, page_limit: int) -> str:
        """Say what is printed and how to resume, for what is left of `--page-limit`; empty before the first page."""
        if not self.next_page_token:
            return ""
        options = {"--offset": "", "--page-token": self.next_page_token}
        if page_limit:
            options["--page-limit"] = str(page_limit - self.pages)
        command = resume_command(options, heading=self.output.has_heading)
        shown = "1 page is" if self.pages == 1 else f"{self.pages:,} pages are"
        return f"{shown} printed; resume with: {command}"
