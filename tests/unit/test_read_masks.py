"""A read_mask: which fields it asks for, and the tokens that belong to it."""

from itertools import combinations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from userstream.v1 import user_service_pb2 as pb
from userstream_server.errors import InvalidRequestError
from userstream_server.rows.fields import ALL_FIELDS, widened
from userstream_server.rpc import read_masks, validation
from userstream_server.rpc.tokens import Position, encode_token

KEY = "0b0e0a36-5d6c-4a4f-8f0e-0123456789ab"
CHECKS = [
    (validation.check_stream_users, pb.StreamUsersRequest, "resume_token"),
    (validation.check_batch_users, pb.BatchUsersRequest, "resume_token"),
    (validation.check_paginate, pb.PaginateRequest, "page_token"),
]
SUBSETS = [("user_id", *others) for n in range(4) for others in combinations(ALL_FIELDS[1:], n)]


@pytest.mark.parametrize(
    ("paths", "fields"),
    [
        ([], ALL_FIELDS),
        (["*"], ALL_FIELDS),
        (["age", "*"], ALL_FIELDS),
        (["user_id"], ("user_id",)),
        (["age"], ("user_id", "age")),
        (["age", "name", "age"], ("user_id", "name", "age")),
        (["age", "email", "name"], ALL_FIELDS),
    ],
)
def test_fields(paths: list[str], fields: tuple[str, ...]) -> None:
    """user_id always comes; order and repetition do not matter; no path, or *, means every field."""
    assert fields == read_masks.fields_of(FieldMask(paths=paths))


@pytest.mark.parametrize(("check", "request_of", "_"), CHECKS)
@pytest.mark.parametrize("path", ["phone", "", "Age", "user_id.x", "users.age", "name,age"])
def test_unknown_paths(check: object, request_of: type, _: str, path: str) -> None:
    """Each RPC refuses a path that is no field of a user, and says what it takes."""
    with pytest.raises(InvalidRequestError) as caught:
        check(request_of(read_mask=FieldMask(paths=["age", path])))  # type: ignore[operator]

    (violation,) = caught.value.violations
    assert violation.field == "read_mask"
    assert violation.description == "takes the paths user_id, name, email, age, or *"


@pytest.mark.parametrize(("check", "request_of", "token_field"), CHECKS)
def test_tokens(check: object, request_of: type, token_field: str) -> None:
    """A token belongs to the fields that were asked for, however they were written, and to no others."""

    def checked(*paths: str, token: str = "") -> validation.StreamPlan:
        request = request_of(read_mask=FieldMask(paths=paths), **{token_field: token})
        return check(request)  # type: ignore[operator,no-any-return]

    position = Position(KEY, 5)
    token = encode_token(checked("age", "name").bound_to, position)

    assert KEY == checked("user_id", "name", "age", token=token).position.after
    for others in ((), ("age",), ("*",), ("name", "email")):
        with pytest.raises(InvalidRequestError) as caught:
            checked(*others, token=token)
        assert caught.value.reason == "INVALID_TOKEN"


@pytest.mark.parametrize(("check", "request_of", "_"), CHECKS)
def test_every_field_is_no_mask(check: object, request_of: type, _: str) -> None:
    """Tokens made without a mask go with one that asks for all fields, and so do those of older servers."""
    masks = [FieldMask(), FieldMask(paths=["*"]), FieldMask(paths=ALL_FIELDS)]
    bound = {check(request_of(read_mask=mask)).bound_to for mask in masks}  # type: ignore[operator]

    assert {check(request_of()).bound_to} == bound  # type: ignore[operator]


@pytest.mark.parametrize("fields", SUBSETS)
def test_widened(fields: tuple[str, ...]) -> None:
    """Columns that were not read hold what proto3 leaves out of a message."""
    whole = {"user_id": b"id", "name": b"n", "email": b"e", "age": b"7"}
    unread = {"name": b"", "email": b"", "age": b"0"}
    row = tuple(whole[name] for name in fields)

    assert [tuple({**whole, **unread, **dict(zip(fields, row, strict=True))}.values())] == widened(
        [row], fields
    )
