"""The rules of a request's read_mask, and the fields that it asks for."""

from google.protobuf.field_mask_pb2 import FieldMask

from userstream_server.errors import FieldViolation
from userstream_server.rows.fields import ALL_FIELDS, in_order

__all__ = ["bound_part", "broken_paths", "fields_of"]

_EVERY_FIELD = "*"


def broken_paths(field: str, mask: FieldMask) -> list[FieldViolation]:
    """Return the violation if a mask names something that a user does not have.

    Args:
        field: The request's field that holds it.
        mask: The mask.
    """
    if {*mask.paths} <= {*ALL_FIELDS, _EVERY_FIELD}:
        return []
    return [FieldViolation(field, f"takes the paths {', '.join(ALL_FIELDS)}, or {_EVERY_FIELD}")]


def fields_of(mask: FieldMask) -> tuple[str, ...]:
    """Return the fields that a valid mask asks for, user_id among them, in the order in which they are read."""
    if not mask.paths or _EVERY_FIELD in mask.paths:
        return ALL_FIELDS
    return in_order(mask.paths)


def bound_part(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return the part of a token's fingerprint: none for all fields, as in tokens of servers without read_mask."""
    return () if fields == ALL_FIELDS else (",".join(fields),)
