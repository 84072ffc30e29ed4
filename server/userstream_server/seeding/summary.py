"""What seeding did, in lines for whoever ran it."""

from collections.abc import Iterator

from userstream_server.seeding.csv_users import NO_USER_ID
from userstream_server.seeding.seed import SeedReport

__all__ = ["summary_of"]

_SHOWN_REASONS = 10
_NO_USER_ID_HINT = (
    "The header names user_id and rows have no value for it. If the file has no user_ids, remove"
    " user_id from its first line: each user then gets one that is made of the e-mail address."
)
_CONFLICT_HINT = (
    "Rows in conflict were not stored: their user_id, or the e-mail address that stands for it, belongs"
    " to a user with other values. Correct the file, or seed with --update to replace what is stored."
)


def summary_of(report: SeedReport) -> Iterator[str]:
    """Yield the lines: what was stored, what was rejected for which reason, and what to do about it."""
    updated = f" {report.updated_users} updated," if report.updated_users else ""
    yield f"{report.new_users} users added,{updated} {report.unchanged_users} unchanged."
    if not report.rejected_rows:
        return
    listed = f"; {report.rejects} lists them" if report.rejects else ""
    yield f"{report.rejected_rows} rows rejected{listed}:"
    for reason, count in report.reasons.most_common(_SHOWN_REASONS):
        yield f"  {count} x {reason}"
    if len(report.reasons) > _SHOWN_REASONS:
        yield f"  and {len(report.reasons) - _SHOWN_REASONS} other reasons"
    if NO_USER_ID in report.reasons:
        yield _NO_USER_ID_HINT
    if any(reason.startswith("conflict") for reason in report.reasons):
        yield _CONFLICT_HINT
