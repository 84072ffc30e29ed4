"""The rules of a request's filter, and the filter that the generators take."""

from userstream.v1 import user_service_pb2 as pb

from userstream_server.errors import FieldViolation
from userstream_server.rows.scan import UserFilter

__all__ = ["broken_range", "broken_rules", "user_filter"]

_AGE_MAX = 9_999_999_999  # DECIMAL(10,0)
_TEXT_MAX_CHARS = 255
_DOMAIN_MAX_CHARS = 253


def user_filter(wanted: pb.UserFilter) -> UserFilter:
    """Return a valid filter as the generators take it."""
    return UserFilter(
        age_over=wanted.age_over if wanted.HasField("age_over") else None,
        age_up_to=wanted.age_up_to if wanted.HasField("age_up_to") else None,
        name_prefix=wanted.name_prefix,
        email_domain=wanted.email_domain,
    )


def broken_rules(field: str, wanted: pb.UserFilter) -> list[FieldViolation]:
    """Return every rule that a filter breaks.

    Args:
        field: The request's field that holds it.
        wanted: The filter.
    """
    broken: list[FieldViolation] = []
    for name in ("age_over", "age_up_to"):
        if wanted.HasField(name):
            broken += broken_range(f"{field}.{name}", getattr(wanted, name), -_AGE_MAX, _AGE_MAX)
    both = wanted.HasField("age_over") and wanted.HasField("age_up_to")
    if both and wanted.age_up_to <= wanted.age_over:
        broken.append(FieldViolation(f"{field}.age_up_to", "must be above age_over"))
    if len(wanted.name_prefix) > _TEXT_MAX_CHARS or "\0" in wanted.name_prefix:
        broken.append(
            FieldViolation(
                f"{field}.name_prefix", f"takes at most {_TEXT_MAX_CHARS} characters, no NUL"
            )
        )
    domain = wanted.email_domain
    if len(domain) > _DOMAIN_MAX_CHARS or not domain.isascii() or set(domain) & set("@\0 "):
        broken.append(
            FieldViolation(
                f"{field}.email_domain",
                f"takes an ASCII domain of at most {_DOMAIN_MAX_CHARS} characters, without @",
            )
        )
    return broken


def broken_range(field: str, value: int, least: int, most: int) -> list[FieldViolation]:
    """Return the violation if a number is out of its range."""
    if least <= value <= most:
        return []
    described = f"{least} to {most}" if most < 2**31 or field.startswith("filter") else "0 or more"
    return [FieldViolation(field, f"takes {described}")]
