"""Which fields of a user a call asks for."""

from collections.abc import Iterable

from google.protobuf.field_mask_pb2 import FieldMask

from userstream_client.models import User

__all__ = ["columns_of", "mask_of"]

_EVERY_FIELD = "*"


def mask_of(fields: Iterable[str] | str) -> FieldMask | None:
    """Return a request's read_mask; None where all fields are asked for.

    Args:
        fields: Names of fields, also as one text with commas between. The server refuses names it does not know.
    """
    names = fields.split(",") if isinstance(fields, str) else fields
    paths = [path for name in names if (path := name.strip())]
    return FieldMask(paths=paths) if paths else None


def columns_of(mask: FieldMask) -> tuple[str, ...]:
    """Return the fields that come for a mask, in the order of `User`; user_id is always among them."""
    if not mask.paths or _EVERY_FIELD in mask.paths:
        return User._fields
    wanted = {User._fields[0], *mask.paths}
    return tuple(name for name in User._fields if name in wanted)
