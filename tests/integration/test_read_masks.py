"""Only the fields that are asked for are selected, by every way in which rows are read."""

from contextlib import closing
from itertools import combinations
from typing import Any

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.rows.dialects import MYSQL, SQLITE
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.sql import users_query
from userstream_server.rows.types import UserRow
from userstream_testing.admin import open_url

SUBSETS = [("user_id", *others) for n in range(4) for others in combinations(ALL_FIELDS[1:], n)]
UNREAD = UserRow("", "", "", 0)
OLDER = Scan(UserFilter(age_over=40, email_domain="example.com"))


def only(fields: tuple[str, ...], user: UserRow) -> UserRow:
    """Return a user with the other fields empty."""
    return UNREAD._replace(**{name: getattr(user, name) for name in fields})


@pytest.mark.parametrize("dialect", [MYSQL, SQLITE])
@pytest.mark.parametrize("fields", SUBSETS)
def test_only_these_columns_are_selected(dialect: Any, fields: tuple[str, ...]) -> None:
    """Other columns do not stand in the statement, so they never leave the database."""
    query = users_query(dialect, Scan(fields=fields), limit=10)
    selected = query.text.partition(" FROM ")[0]

    assert list(fields) == [name for name in ALL_FIELDS if name in selected]
    assert (len(fields), fields) == (query.columns, query.fields)


@pytest.mark.parametrize("options", [{}, {"native_rows": False}, {"use_pure": True}])
@pytest.mark.parametrize("fields", SUBSETS)
def test_every_way_reads_the_same(
    shared_url: str, users: list[UserRow], fields: tuple[str, ...], options: dict[str, bool]
) -> None:
    """In C, in Python, without the driver's extension: these fields of these users, with the same ids and CRC."""
    scan = Scan(OLDER.filter, fields=fields)
    expected = [
        only(fields, user)
        for user in users
        if user.age > 40 and user.email.lower().endswith("@example.com")
    ]
    database = open_url(shared_url, **options)
    with closing(database), database.session() as session:
        query = users_query(session.dialect, scan, limit=2000)
        blocks = list(session.encoded(query, lambda: 100))
        listed = list(Users(session).stream_users(scan))
        pages = [page.users for page in Users(session).lazy_paginate(50, scan)]
    sent = [u for block in blocks for u in pb.StreamUsersResponse.FromString(block.users).users]

    assert expected == [UserRow(u.user_id, u.name, u.email, u.age) for u in sent]
    assert expected == listed
    assert expected == [user for page in pages for user in page]
    assert "".join(user.user_id for user in expected) == b"".join(
        block.user_ids for block in blocks
    ).decode("ascii")
