"""The account that docs/operations.md recommends, made as it says."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from userstream_server.databases.url import DatabaseUrl

from userstream_testing.admin import execute
from userstream_testing.repository import ROOT

__all__ = ["documented_grants", "reader_of"]


def documented_grants() -> str:
    """Return the statements of the page's section on grants."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    found = re.search(r"## Grants\n.*?```sql\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


@contextmanager
def reader_of(url: str) -> Iterator[str]:
    """Yield the URL of the same database for an account with the documented grants and no other.

    Args:
        url: A MySQL database with the table, for an account that may do everything.
    """
    parsed = DatabaseUrl.parse(url)
    name, password = f"reader_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    statements = documented_grants().replace("'userstream'", f"'{name}'")
    statements = statements.replace("'password'", f"'{password}'")
    statements = statements.replace("ALX_prodev", parsed.database)
    execute(url, *(s.strip() for s in statements.split(";") if s.strip()))
    try:
        account = f"{parsed.user}:{parsed.password}@"
        yield url.replace(account, f"{name}:{password}@")
    finally:
        execute(url, f"DROP USER '{name}'@'%'")
