"""Fields that a caller may read: nothing else is sent to it, and nothing else may select its users."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from userstream_server.errors import AccessDeniedError
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.scan import Scan, UserFilter

__all__ = ["refuse_denied"]

# A filter says something about the users that it selects, so it counts as reading the field.
_FILTERED = {
    "age_over": "age",
    "age_up_to": "age",
    "name_prefix": "name",
    "email_domain": "email",
}
_UNSET = UserFilter()


def refuse_denied(scan: Scan, allowed: AbstractSet[str]) -> None:
    """Check that a caller may read what it asks for.

    Args:
        scan: What the call reads, and which users it selects.
        allowed: The fields that its caller may read.

    Raises:
        AccessDeniedError: It may not; the message names each field, and the ones that it may read.
    """
    denied = [(field, what) for field, what in _read(scan) if field not in allowed]
    if not denied:
        return
    fields = sorted({field for field, _ in denied}, key=ALL_FIELDS.index)
    listed = ", ".join(f"{field} ({what})" for field, what in denied)
    may = ", ".join(field for field in ALL_FIELDS if field in allowed)
    raise AccessDeniedError(
        "FIELD_DENIED",
        f"This caller may not read {listed}. It may read {may}: name these in read_mask, and filter by no others.",
        metadata={"fields": ",".join(fields)},
    )


def _read(scan: Scan) -> Iterator[tuple[str, str]]:
    """Yield each field that a call needs, and what needs it."""
    for field in scan.fields:
        yield field, "read"
    for condition, field in _FILTERED.items():
        if getattr(scan.filter, condition) != getattr(_UNSET, condition):
            yield field, f"filter.{condition}"
