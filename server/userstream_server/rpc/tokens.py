"""Opaque cursors: how far a scan has got, bound to the request that made it.

A token carries the last key sent, the rows and the CRC so far and the number of resumes, so any
server can resume the scan. It grants nothing, because its holder could ask for the same rows without
it. So it has a checksum against damage but no signature, and anybody can write one: its figures are
checked like any other input. Binding a cursor to a hash of the call's parameters is SpiceDB's idea.
"""

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

from google.protobuf.message import Message

from userstream_server.errors import FieldViolation, InvalidRequestError
from userstream_server.rows.freshness import UNKNOWN, Freshness

__all__ = [
    "KeyRange",
    "Position",
    "decode_partition",
    "decode_token",
    "encode_partition",
    "encode_token",
    "fingerprint",
    "invalid_token",
]

_VERSION = 1
_ORDERED_VERSION = 2
"""Of tokens for a table whose keys do not ascend byte by byte."""
_FRESH_VERSION = 3
"""Of tokens that say how new the data was, where several database hosts are read."""
_CHECKSUM = struct.Struct(">I")
# version, fingerprint, rows, CRC-32, resumes, estimate, pages, sum of ages; the key follows.
_POSITION = struct.Struct(">B8sQIIQQq")
_ORDER = struct.Struct(">I")
# The order, whether the scan never went back in time, and the length of the database's position, which follows.
_FRESHNESS = struct.Struct(">I?H")
_SIZES = {
    _VERSION: _POSITION.size,
    _ORDERED_VERSION: _POSITION.size + _ORDER.size,
    _FRESH_VERSION: _POSITION.size + _FRESHNESS.size,
}
"""How many bytes a token has at least, by its version."""
_PARTITION_MARK = b"userstream partition 1"
_ORDERED_PARTITION_MARK = b"userstream partition 2"
_COUNT_MAX = 2**62
"""Half of what a response's int64 holds, so that the rest of a scan can be added without overflow."""
_RESUMES_MAX = 2**31 - 1
"""What a receipt's int32 holds."""


@dataclass(slots=True)
class Position:
    """How far a scan has got, counted from its very start; a stream advances its own position.

    Attributes:
        after: The last user_id sent; None at the start.
        user_count: Users sent so far.
        user_id_crc32: CRC-32 over their user_ids.
        resumed_count: How often the scan was resumed.
        estimated_users: The whole scan's estimate; 0 when not known yet.
        page_number: Pages sent so far (Paginate).
        age_sum: Sum of the ages so far, in years (StreamAverageAge).
        order: What `after` goes by; see `rows.table.Table.order`.
        freshness: How new the data was that was read; None where only one database host is read.
    """

    after: str | None = None
    user_count: int = 0
    user_id_crc32: int = 0
    resumed_count: int = 0
    estimated_users: int = 0
    page_number: int = 0
    age_sum: int = 0
    order: int = 0
    freshness: Freshness | None = None

    @property
    def read_before(self) -> Freshness | None:
        """What a resumed scan has read already; None for a new one."""
        return self.freshness or (UNKNOWN if self.resumed_count else None)


class KeyRange(NamedTuple):
    """A partition.

    Attributes:
        after: Its lower bound (exclusive); None for none.
        up_to: Its upper bound (inclusive); None for none.
        order: What the bounds go by; see `rows.table.Table.order`.
    """

    after: str | None = None
    up_to: str | None = None
    order: int = 0


def fingerprint(rpc: str, *parts: Message | str | int) -> bytes:
    """Return 8 bytes that stand for an RPC and those fields of its request that a token is bound to."""
    digest = blake2b(rpc.encode(), digest_size=8)
    for part in parts:
        raw = (
            part.SerializeToString(deterministic=True)
            if isinstance(part, Message)
            else str(part).encode()
        )
        digest.update(struct.pack(">I", len(raw)) + raw)
    return digest.digest()


def encode_token(bound_to: bytes, position: Position) -> str:
    """Return the token for a position of the request with this fingerprint."""
    version, more = _more(position)
    head = _POSITION.pack(
        version,
        bound_to,
        position.user_count,
        position.user_id_crc32,
        position.resumed_count,
        position.estimated_users,
        position.page_number,
        position.age_sum,
    )
    return _seal(head + more + (position.after or "").encode())


def _more(position: Position) -> tuple[int, bytes]:
    """Return a token's version, and what comes between its figures and its key."""
    if (fresh := position.freshness) is not None:
        head = _FRESHNESS.pack(position.order, fresh.is_kept, len(fresh.position))
        return _FRESH_VERSION, head + fresh.position
    if position.order:
        return _ORDERED_VERSION, _ORDER.pack(position.order)
    return _VERSION, b""


def decode_token(field: str, token: str, bound_to: bytes) -> Position:
    """Read a token back.

    Args:
        field: The request's field, for the error.
        token: What `encode_token` made; empty means the start.
        bound_to: The fingerprint of the request that came with it.

    Returns:
        The position it was made for, with this resume counted.

    Raises:
        InvalidRequestError: The token is damaged, forged, of another version, or of another request.
    """
    if not token:
        return Position()
    raw = _unseal(field, token)
    if not raw or len(raw) < _SIZES.get(raw[0], len(raw) + 1):
        raise invalid_token(field, "not a token of this service")
    version, made_for, *figures = _POSITION.unpack_from(raw)
    if made_for != bound_to:
        raise invalid_token(
            field, "belongs to another request; send the fields of the call that made it"
        )
    rest, order, freshness = raw[_POSITION.size :], 0, None
    if version == _ORDERED_VERSION:
        (order,), rest = _ORDER.unpack_from(rest), rest[_ORDER.size :]
    elif version == _FRESH_VERSION:
        order, is_kept, length = _FRESHNESS.unpack_from(rest)
        rest = rest[_FRESHNESS.size :]
        freshness, rest = Freshness(rest[:length], is_kept), rest[length:]
    position = Position(_key(field, rest), *figures)
    position.order, position.freshness = order, freshness
    if not _is_possible(position):
        raise invalid_token(field, "not a token of this service")
    position.resumed_count += 1
    return position


def encode_partition(keys: KeyRange) -> str:
    """Name a key range."""
    bounds = [(keys.after or "").encode(), (keys.up_to or "").encode()]
    if not keys.order:
        return _seal(b"\0".join([_PARTITION_MARK, *bounds]))
    return _seal(b"\0".join([_ORDERED_PARTITION_MARK, *bounds, b"%08x" % keys.order]))


def decode_partition(field: str, partition: str) -> KeyRange:
    """Read a partition back; empty means the whole table.

    Raises:
        InvalidRequestError: It is damaged or not a partition.
    """
    if not partition:
        return KeyRange()
    mark, *parts = _unseal(field, partition).split(b"\0")
    if (mark, len(parts)) not in {(_PARTITION_MARK, 2), (_ORDERED_PARTITION_MARK, 3)}:
        raise invalid_token(field, "not a partition; take one from PartitionUsers")
    order = parts[2] if len(parts) > 2 else b"00000000"
    if not re.fullmatch(rb"[0-9a-f]{8}", order):
        raise invalid_token(field, "not a partition; take one from PartitionUsers")
    return KeyRange(_key(field, parts[0]), _key(field, parts[1]), int(order, 16))


def _key(field: str, raw: bytes) -> str | None:
    """Return a key; None when it is empty. Refuse what is not printable ASCII."""
    if not raw.isascii() or not (key := raw.decode("ascii")).isprintable():
        raise invalid_token(field, "not a token of this service")
    return key or None


def _is_possible(position: Position) -> bool:
    """Say whether a server could have written these figures: the checksum is no secret."""
    figures = (
        position.user_count,
        position.estimated_users,
        position.page_number,
        position.age_sum,
    )
    has_key = position.after is not None or not (position.user_count or position.age_sum)
    return (
        has_key and max(map(abs, figures)) <= _COUNT_MAX and position.resumed_count < _RESUMES_MAX
    )


def _seal(raw: bytes) -> str:
    """Add a checksum and make it text that is safe in URLs and shells."""
    return base64.urlsafe_b64encode(raw + _CHECKSUM.pack(crc32(raw))).rstrip(b"=").decode()


def _unseal(field: str, token: str) -> bytes:
    """Undo `_seal`, refusing whatever it would not have written."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid_token(field, "damaged; send it as it was received") from None
    body = raw[: -_CHECKSUM.size]
    # Sealing again compares the checksum, and refuses spare bits in the last character, which decoding lets pass.
    if _seal(body) != token:
        raise invalid_token(field, "damaged; send it as it was received")
    return body


def invalid_token(field: str, description: str) -> InvalidRequestError:
    """Return the error for a token or partition that is refused."""
    return InvalidRequestError([FieldViolation(field, description)], reason="INVALID_TOKEN")
