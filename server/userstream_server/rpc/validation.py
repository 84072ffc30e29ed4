"""Validation of requests: turns a request message into a plan for the service.

An error names every broken rule, not only the first. A bad token is reported only once the rest is valid.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from userstream.v1 import user_service_pb2 as pb

from userstream_server.errors import FieldViolation, InvalidRequestError
from userstream_server.rows.generators import DEFAULT_BATCH_AGE_OVER
from userstream_server.rows.scan import Scan
from userstream_server.rpc.filters import broken_range, broken_rules, user_filter
from userstream_server.rpc.read_masks import bound_part, broken_paths, fields_of
from userstream_server.rpc.tokens import (
    KeyRange,
    Position,
    decode_partition,
    decode_token,
    fingerprint,
    invalid_token,
)

__all__ = [
    "USERS_MAX",
    "AgesPlan",
    "LookupPlan",
    "PagesPlan",
    "StreamPlan",
    "check_average_age",
    "check_batch_get_users",
    "check_batch_users",
    "check_paginate",
    "check_partition_users",
    "check_stream_average_age",
    "check_stream_users",
]

USERS_MAX = 10_000
"""The most users in a message, a batch or a page, whatever the settings say."""
_PARTITIONS_MAX = 1000
_IDS_MAX = 1000
_AGES, _KEYS = ("age",), ("user_id",)
_DEFAULT_BATCH_SIZE = 1000
_DEFAULT_PAGE_SIZE = 100
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The plan of a StreamUsers or BatchUsers call.

    Attributes:
        scan: What remains to be read.
        position: How far the scan has got; the start unless it is a resume.
        keys: The partition; open to both sides without one.
        bound_to: The request's fingerprint, for new tokens.
        snapshot: Whether to keep one read view.
        message_users: The most users per message, or the batch's exact size; 0 leaves it to the server.
        limit: The most users in the whole scan; 0 for all.
    """

    scan: Scan
    position: Position
    keys: KeyRange
    bound_to: bytes
    snapshot: bool
    message_users: int
    limit: int

    @property
    def consistency(self) -> pb.Consistency.ValueType:
        """What the receipt says."""
        return pb.CONSISTENCY_SNAPSHOT if self.snapshot else pb.CONSISTENCY_LIVE


@dataclass(frozen=True, slots=True)
class PagesPlan:
    """The plan of a Paginate call; a `page_limit` of 0 means all pages."""

    scan: Scan
    position: Position
    bound_to: bytes
    page_size: int
    page_limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class AgesPlan:
    """The plan of a StreamAverageAge call."""

    scan: Scan
    position: Position
    bound_to: bytes


@dataclass(frozen=True, slots=True)
class LookupPlan:
    """The plan of a BatchGetUsers call; `scan` says which fields to read."""

    scan: Scan
    user_ids: tuple[str, ...]


def check_stream_users(request: pb.StreamUsersRequest, *, users_max: int = USERS_MAX) -> StreamPlan:
    """Check a StreamUsersRequest.

    Args:
        request: The request as received.
        users_max: The most users a message may be asked to hold.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    per_message = request.max_users_per_message
    broken = broken_range("max_users_per_message", per_message, 0, users_max)
    return _stream_plan("StreamUsers", request, broken, request.filter, per_message)


def check_batch_users(request: pb.BatchUsersRequest, *, users_max: int = USERS_MAX) -> StreamPlan:
    """Check a BatchUsersRequest; unless it says otherwise, it asks for users over 25.

    Args:
        request: The request as received.
        users_max: The largest batch it may ask for.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    broken = broken_range("batch_size", request.batch_size, 0, users_max)
    size = request.batch_size or min(_DEFAULT_BATCH_SIZE, users_max)
    wanted = pb.UserFilter()
    wanted.CopyFrom(request.filter)
    if not wanted.HasField("age_over"):
        wanted.age_over = DEFAULT_BATCH_AGE_OVER
    return _stream_plan("BatchUsers", request, broken, wanted, size)


def check_paginate(request: pb.PaginateRequest, *, users_max: int = USERS_MAX) -> PagesPlan:
    """Check a PaginateRequest; a page size above `users_max` is lowered to it.

    Args:
        request: The request as received.
        users_max: The most users on a page.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    broken = [
        *broken_range("page_size", request.page_size, 0, 2**31),
        *broken_range("page_limit", request.page_limit, 0, 2**31),
        *broken_range("offset", request.offset, 0, _INT64_MAX),
        *broken_rules("filter", request.filter),
        *broken_paths("read_mask", request.read_mask),
    ]
    if request.offset and request.page_token:
        broken.append(
            FieldViolation("offset", "not together with page_token; a token knows its place")
        )
    _refuse(broken)
    fields = fields_of(request.read_mask)
    bound_to = fingerprint("Paginate", request.filter, *bound_part(fields))
    position = decode_token("page_token", request.page_token, bound_to)
    size = min(request.page_size or _DEFAULT_PAGE_SIZE, users_max)
    return PagesPlan(
        Scan(user_filter(request.filter), after=position.after, fields=fields),
        position,
        bound_to,
        size,
        request.page_limit,
        request.offset,
    )


def check_batch_get_users(
    request: pb.BatchGetUsersRequest, *, users_max: int = USERS_MAX
) -> LookupPlan:
    """Check a BatchGetUsersRequest.

    Args:
        request: The request as received.
        users_max: The most users a response may hold.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    ids, most = tuple(request.user_ids), min(_IDS_MAX, users_max)
    broken = broken_paths("read_mask", request.read_mask)
    if not 1 <= len(ids) <= most:
        broken.append(FieldViolation("user_ids", f"takes 1 to {most} ids"))
    if not all(user_id.isascii() and user_id.isprintable() and user_id for user_id in ids):
        broken.append(FieldViolation("user_ids", "takes ids of printable ASCII, none empty"))
    _refuse(broken)
    return LookupPlan(Scan(fields=fields_of(request.read_mask)), ids)


def check_average_age(request: pb.AverageAgeRequest) -> Scan:
    """Check an AverageAgeRequest; return which users it asks for.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    _refuse(broken_rules("filter", request.filter))
    return Scan(user_filter(request.filter), fields=_AGES)


def check_stream_average_age(request: pb.StreamAverageAgeRequest) -> AgesPlan:
    """Check a StreamAverageAgeRequest.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    _refuse(broken_rules("filter", request.filter))
    bound_to = fingerprint("StreamAverageAge", request.filter)
    position = decode_token("resume_token", request.resume_token, bound_to)
    scan = Scan(user_filter(request.filter), after=position.after, fields=_AGES)
    return AgesPlan(scan, position, bound_to)


def check_partition_users(request: pb.PartitionUsersRequest) -> tuple[Scan, int]:
    """Check a PartitionUsersRequest; return what to split, and into how many.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    count = request.partition_count
    _refuse(
        [
            *broken_range("partition_count", count, 1, _PARTITIONS_MAX),
            *broken_rules("filter", request.filter),
        ]
    )
    return Scan(user_filter(request.filter), fields=_KEYS), count


def _stream_plan(
    rpc: str,
    request: pb.StreamUsersRequest | pb.BatchUsersRequest,
    broken: list[FieldViolation],
    wanted: pb.UserFilter,
    message_users: int,
) -> StreamPlan:
    """Finish the plan of either stream; they share all fields but one."""
    broken += broken_range("limit", request.limit, 0, _INT64_MAX)
    broken += broken_rules("filter", wanted)
    broken += broken_paths("read_mask", request.read_mask)
    if request.consistency not in pb.Consistency.values():
        broken.append(
            FieldViolation("consistency", "takes CONSISTENCY_LIVE or CONSISTENCY_SNAPSHOT")
        )
    _refuse(broken)
    keys = decode_partition("partition", request.partition)
    # How many users a message of StreamUsers holds may change on a resume; a batch's size may not.
    size = message_users if rpc == "BatchUsers" else 0
    snapshot = request.consistency == pb.CONSISTENCY_SNAPSHOT
    fields = fields_of(request.read_mask)
    asked = (wanted, request.partition, request.limit, size, int(snapshot))
    bound_to = fingerprint(rpc, *asked, *bound_part(fields))
    position = decode_token("resume_token", request.resume_token, bound_to)
    left = request.limit - position.user_count if request.limit else None
    if left is not None and left < 0:
        raise invalid_token("resume_token", "counts more users than limit")
    return StreamPlan(
        Scan(user_filter(wanted), position.after or keys.after, keys.up_to, left, fields),
        position,
        keys,
        bound_to,
        snapshot,
        message_users,
        request.limit,
    )


def _refuse(broken: Iterable[FieldViolation]) -> None:
    violations = list(broken)
    if violations:
        raise InvalidRequestError(violations)
