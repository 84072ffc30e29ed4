"""Validation of requests: turns a request message into a plan for the service.

An error names every broken rule, not only the first. A bad token is reported only once the rest is valid.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from userstream.v1 import user_service_pb2 as pb

from userstream_server.errors import FieldViolation, InvalidRequestError
from userstream_server.rows.generators import DEFAULT_BATCH_AGE_OVER
from userstream_server.rows.scan import Scan, UserFilter
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
    "PagesPlan",
    "StreamPlan",
    "check_average_age",
    "check_batch_users",
    "check_paginate",
    "check_partition_users",
    "check_stream_average_age",
    "check_stream_users",
]

_AGE_MAX = 9_999_999_999  # DECIMAL(10,0)
_TEXT_MAX_CHARS = 255
_DOMAIN_MAX_CHARS = 253
USERS_MAX = 10_000
"""The most users in a message, a batch or a page, whatever the settings say."""
_PARTITIONS_MAX = 1000
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


def check_stream_users(request: pb.StreamUsersRequest, *, users_max: int = USERS_MAX) -> StreamPlan:
    """Check a StreamUsersRequest.

    Args:
        request: The request as received.
        users_max: The most users a message may be asked to hold.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    per_message = request.max_users_per_message
    broken = _range("max_users_per_message", per_message, 0, users_max)
    return _stream_plan("StreamUsers", request, broken, request.filter, per_message)


def check_batch_users(request: pb.BatchUsersRequest, *, users_max: int = USERS_MAX) -> StreamPlan:
    """Check a BatchUsersRequest; unless it says otherwise, it asks for users over 25.

    Args:
        request: The request as received.
        users_max: The largest batch it may ask for.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    broken = _range("batch_size", request.batch_size, 0, users_max)
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
        *_range("page_size", request.page_size, 0, 2**31),
        *_range("page_limit", request.page_limit, 0, 2**31),
        *_range("offset", request.offset, 0, _INT64_MAX),
        *_filter("filter", request.filter),
    ]
    if request.offset and request.page_token:
        broken.append(
            FieldViolation("offset", "not together with page_token; a token knows its place")
        )
    _refuse(broken)
    bound_to = fingerprint("Paginate", request.filter)
    position = decode_token("page_token", request.page_token, bound_to)
    size = min(request.page_size or _DEFAULT_PAGE_SIZE, users_max)
    return PagesPlan(
        Scan(_user_filter(request.filter), after=position.after),
        position,
        bound_to,
        size,
        request.page_limit,
        request.offset,
    )


def check_average_age(request: pb.AverageAgeRequest) -> Scan:
    """Check an AverageAgeRequest; return which users it asks for.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    _refuse(_filter("filter", request.filter))
    return Scan(_user_filter(request.filter))


def check_stream_average_age(request: pb.StreamAverageAgeRequest) -> AgesPlan:
    """Check a StreamAverageAgeRequest.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    _refuse(_filter("filter", request.filter))
    bound_to = fingerprint("StreamAverageAge", request.filter)
    position = decode_token("resume_token", request.resume_token, bound_to)
    return AgesPlan(Scan(_user_filter(request.filter), after=position.after), position, bound_to)


def check_partition_users(request: pb.PartitionUsersRequest) -> tuple[Scan, int]:
    """Check a PartitionUsersRequest; return what to split, and into how many.

    Raises:
        InvalidRequestError: With every rule it breaks.
    """
    count = request.partition_count
    _refuse(
        [
            *_range("partition_count", count, 1, _PARTITIONS_MAX),
            *_filter("filter", request.filter),
        ]
    )
    return Scan(_user_filter(request.filter)), count


def _stream_plan(
    rpc: str,
    request: pb.StreamUsersRequest | pb.BatchUsersRequest,
    broken: list[FieldViolation],
    wanted: pb.UserFilter,
    message_users: int,
) -> StreamPlan:
    """Finish the plan of either stream; they share all fields but one."""
    broken += _range("limit", request.limit, 0, _INT64_MAX)
    broken += _filter("filter", wanted)
    if request.consistency not in pb.Consistency.values():
        broken.append(
            FieldViolation("consistency", "takes CONSISTENCY_LIVE or CONSISTENCY_SNAPSHOT")
        )
    _refuse(broken)
    keys = decode_partition("partition", request.partition)
    # How many users a message of StreamUsers holds may change on a resume; a batch's size may not.
    size = message_users if rpc == "BatchUsers" else 0
    snapshot = request.consistency == pb.CONSISTENCY_SNAPSHOT
    bound_to = fingerprint(rpc, wanted, request.partition, request.limit, size, int(snapshot))
    position = decode_token("resume_token", request.resume_token, bound_to)
    left = request.limit - position.user_count if request.limit else None
    if left is not None and left < 0:
        raise invalid_token("resume_token", "counts more users than limit")
    return StreamPlan(
        Scan(_user_filter(wanted), position.after or keys.after, keys.up_to, left),
        position,
        keys,
        bound_to,
        snapshot,
        message_users,
        request.limit,
    )


def _user_filter(wanted: pb.UserFilter) -> UserFilter:
    return UserFilter(
        age_over=wanted.age_over if wanted.HasField("age_over") else None,
        age_up_to=wanted.age_up_to if wanted.HasField("age_up_to") else None,
        name_prefix=wanted.name_prefix,
        email_domain=wanted.email_domain,
    )


def _filter(field: str, wanted: pb.UserFilter) -> list[FieldViolation]:
    broken: list[FieldViolation] = []
    for name in ("age_over", "age_up_to"):
        if wanted.HasField(name):
            broken += _range(f"{field}.{name}", getattr(wanted, name), -_AGE_MAX, _AGE_MAX)
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


def _range(field: str, value: int, least: int, most: int) -> list[FieldViolation]:
    if least <= value <= most:
        return []
    described = f"{least} to {most}" if most < 2**31 or field.startswith("filter") else "0 or more"
    return [FieldViolation(field, f"takes {described}")]


def _refuse(broken: Iterable[FieldViolation]) -> None:
    violations = list(broken)
    if violations:
        raise InvalidRequestError(violations)
