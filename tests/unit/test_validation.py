"""Each rule of each request, and that all broken ones are named."""

from collections.abc import Callable
from typing import Any

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import InvalidRequestError
from userstream_server.rpc import validation

AGE_MAX = 9_999_999_999
BAD_FILTERS: list[tuple[pb.UserFilter, str]] = [
    (pb.UserFilter(age_over=AGE_MAX + 1), "filter.age_over"),
    (pb.UserFilter(age_over=-AGE_MAX - 1), "filter.age_over"),
    (pb.UserFilter(age_up_to=2**62), "filter.age_up_to"),
    (pb.UserFilter(age_over=30, age_up_to=30), "filter.age_up_to"),
    (pb.UserFilter(name_prefix="x" * 256), "filter.name_prefix"),
    (pb.UserFilter(name_prefix="a\0b"), "filter.name_prefix"),
    (pb.UserFilter(email_domain="a@example.com"), "filter.email_domain"),
    (pb.UserFilter(email_domain="münchen.example"), "filter.email_domain"),
    (pb.UserFilter(email_domain="x" * 254), "filter.email_domain"),
]
CASES: list[tuple[Callable[[Any], Any], Any, str]] = [
    (validation.check_stream_users, pb.StreamUsersRequest(limit=-1), "limit"),
    (
        validation.check_stream_users,
        pb.StreamUsersRequest(max_users_per_message=-1),
        "max_users_per_message",
    ),
    (
        validation.check_stream_users,
        pb.StreamUsersRequest(max_users_per_message=10_001),
        "max_users_per_message",
    ),
    (validation.check_stream_users, pb.StreamUsersRequest(consistency=3), "consistency"),  # type: ignore[arg-type]
    (validation.check_stream_users, pb.StreamUsersRequest(resume_token="x"), "resume_token"),
    (validation.check_stream_users, pb.StreamUsersRequest(partition="x"), "partition"),
    (validation.check_batch_users, pb.BatchUsersRequest(batch_size=-1), "batch_size"),
    (validation.check_batch_users, pb.BatchUsersRequest(batch_size=10_001), "batch_size"),
    (validation.check_batch_users, pb.BatchUsersRequest(limit=-1), "limit"),
    (validation.check_batch_users, pb.BatchUsersRequest(consistency=-1), "consistency"),  # type: ignore[arg-type]
    (validation.check_batch_users, pb.BatchUsersRequest(resume_token="é"), "resume_token"),
    (validation.check_batch_users, pb.BatchUsersRequest(partition="AAAA"), "partition"),
    (
        validation.check_batch_users,
        pb.BatchUsersRequest(filter=pb.UserFilter(age_up_to=25)),
        "filter.age_up_to",
    ),
    (validation.check_paginate, pb.PaginateRequest(page_size=-1), "page_size"),
    (validation.check_paginate, pb.PaginateRequest(page_limit=-1), "page_limit"),
    (validation.check_paginate, pb.PaginateRequest(offset=-1), "offset"),
    (validation.check_paginate, pb.PaginateRequest(offset=1, page_token="x"), "offset"),
    (validation.check_paginate, pb.PaginateRequest(page_token="x"), "page_token"),
    (
        validation.check_stream_average_age,
        pb.StreamAverageAgeRequest(resume_token="x"),
        "resume_token",
    ),
    (
        validation.check_partition_users,
        pb.PartitionUsersRequest(partition_count=0),
        "partition_count",
    ),
    (
        validation.check_partition_users,
        pb.PartitionUsersRequest(partition_count=1001),
        "partition_count",
    ),
]
WITH_FILTER: list[tuple[Callable[[Any], Any], Callable[[pb.UserFilter], Any]]] = [
    (validation.check_stream_users, lambda f: pb.StreamUsersRequest(filter=f)),
    (validation.check_batch_users, lambda f: pb.BatchUsersRequest(filter=f)),
    (validation.check_paginate, lambda f: pb.PaginateRequest(filter=f)),
    (validation.check_average_age, lambda f: pb.AverageAgeRequest(filter=f)),
    (validation.check_stream_average_age, lambda f: pb.StreamAverageAgeRequest(filter=f)),
    (
        validation.check_partition_users,
        lambda f: pb.PartitionUsersRequest(filter=f, partition_count=1),
    ),
]


@pytest.mark.parametrize(("check", "request_", "field"), CASES)
def test_a_broken_rule_names_its_field(
    check: Callable[[Any], Any], request_: Any, field: str
) -> None:
    """Each field out of range is refused by name."""
    with pytest.raises(InvalidRequestError) as caught:
        check(request_)

    assert [field] == [violation.field for violation in caught.value.violations]


@pytest.mark.parametrize(("check", "with_filter"), WITH_FILTER)
@pytest.mark.parametrize(("bad", "field"), BAD_FILTERS)
def test_every_rpc_checks_the_filter(
    check: Callable[[Any], Any],
    with_filter: Callable[[pb.UserFilter], Any],
    bad: pb.UserFilter,
    field: str,
) -> None:
    """The filter's rules hold for each RPC."""
    with pytest.raises(InvalidRequestError) as caught:
        check(with_filter(bad))

    assert field in [violation.field for violation in caught.value.violations]


def test_all_broken_rules_are_named() -> None:
    """Not only the first one."""
    request = pb.StreamUsersRequest(
        limit=-1, max_users_per_message=-1, filter=pb.UserFilter(age_over=2**60)
    )
    with pytest.raises(InvalidRequestError) as caught:
        validation.check_stream_users(request)

    assert {"limit", "max_users_per_message", "filter.age_over"} == {
        v.field for v in caught.value.violations
    }


def test_batches_default_to_users_over_25() -> None:
    """An unset age_over is 25; a set one, 0 included, is kept."""
    assert validation.check_batch_users(pb.BatchUsersRequest()).scan.filter.age_over == 25
    zero = pb.BatchUsersRequest(filter=pb.UserFilter(age_over=0))
    assert validation.check_batch_users(zero).scan.filter.age_over == 0


def test_sizes_default_and_are_coerced() -> None:
    """Batch size 0 is 1000, page size 0 is 100, and a page size above 10,000 is 10,000."""
    assert validation.check_batch_users(pb.BatchUsersRequest()).message_users == 1000
    assert validation.check_paginate(pb.PaginateRequest()).page_size == 100
    assert validation.check_paginate(pb.PaginateRequest(page_size=2**31 - 1)).page_size == 10_000
