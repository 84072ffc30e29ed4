"""Tokens that an earlier release gave out: a client must be able to go on with them after an upgrade."""

from collections.abc import Callable
from typing import Any

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.rpc import validation
from userstream_server.rpc.tokens import KeyRange, Position, decode_partition

KEY = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
AT = Position(KEY, 100, 0xDEADBEEF, 2, 300, 4, 4_200)

# Written by version 0.1.0, with the request beside it. New lines may be added; none may be changed.
RELEASED: list[tuple[Callable[[Any], Any], Any]] = [
    (
        validation.check_stream_users,
        pb.StreamUsersRequest(
            limit=500,
            filter=pb.UserFilter(age_over=30, name_prefix="Zoë"),
            resume_token="AYtf5A7yg30mAAAAAAAAAGTerb7vAAAAAQAAAAAAAAEsAAAAAAAAAAQAAAAAAAAQaDBiMGUwYTM2LTVkNmMt"
            "NGE0Zi04ZjBlLTAxMjM0NTY3ODlhYl9COAY",
        ),
    ),
    (
        validation.check_batch_users,
        pb.BatchUsersRequest(
            batch_size=50,
            resume_token="AVAEsHw56ecgAAAAAAAAAGTerb7vAAAAAQAAAAAAAAEsAAAAAAAAAAQAAAAAAAAQaDBiMGUwYTM2LTVkNmMt"
            "NGE0Zi04ZjBlLTAxMjM0NTY3ODlhYsAJUE4",
        ),
    ),
    (
        validation.check_paginate,
        pb.PaginateRequest(
            filter=pb.UserFilter(email_domain="example.com"),
            page_token="AfDajGJKNrV3AAAAAAAAAGTerb7vAAAAAQAAAAAAAAEsAAAAAAAAAAQAAAAAAAAQaDBiMGUwYTM2LTVkNmMt"
            "NGE0Zi04ZjBlLTAxMjM0NTY3ODlhYnlv-yY",
        ),
    ),
    (
        validation.check_stream_average_age,
        pb.StreamAverageAgeRequest(
            resume_token="AQCqa2B_ARAeAAAAAAAAAGTerb7vAAAAAQAAAAAAAAEsAAAAAAAAAAQAAAAAAAAQaDBiMGUwYTM2LTVkNmMt"
            "NGE0Zi04ZjBlLTAxMjM0NTY3ODlhYt_S3AY",
        ),
    ),
]
RELEASED_PARTITION = (
    "dXNlcnN0cmVhbSBwYXJ0aXRpb24gMQAwYjBlMGEzNi01ZDZjLTRhNGYtOGYwZS0wMTIzNDU2Nzg5YWIAZmIwZTBhMzYtNWQ2Yy00"
    "YTRmLThmMGUtMDEyMzQ1Njc4OWFi2T_2Lw"
)


@pytest.mark.parametrize(("check", "request_"), RELEASED, ids=lambda v: type(v).__name__)
def test_tokens_of_a_release_go_on(check: Callable[[Any], Any], request_: Any) -> None:
    """Key, count, CRC-32, resumes, estimate, page and sum are read as they were written, for the same request."""
    plan = check(request_)

    assert AT == plan.position
    assert KEY == plan.scan.after


def test_partitions_of_a_release_are_read() -> None:
    """A key range means the same rows in every version."""
    assert KeyRange(KEY, "f" + KEY[1:]) == decode_partition("partition", RELEASED_PARTITION)
