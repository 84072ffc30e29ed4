"""Pages with their tokens and numbers."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from userstream.v1 import user_service_pb2 as pb

from userstream_server.call_stats import current_call_stats
from userstream_server.rows import encoding
from userstream_server.rows.batches import EncodeUsers, ExactSize
from userstream_server.rows.generators import Users
from userstream_server.rpc import key_order
from userstream_server.rpc.tokens import encode_token
from userstream_server.rpc.validation import PagesPlan

__all__ = ["paginate"]


def paginate(users: Users, plan: PagesPlan) -> Iterator[bytes]:
    """Yield a plan's pages as messages; one empty page when no user matches.

    Args:
        users: Where to read.
        plan: What to read. At most `page_limit` pages, unless that is 0.
    """
    key_order.check_order(users, "page_token", plan.position)
    position = replace(plan.position, order=users.table.order)
    order = key_order.key_order(users.table)
    number = position.page_number + plan.offset // plan.page_size
    reader = EncodeUsers(ExactSize(plan.page_size))
    stats = current_call_stats()
    pages = users.lazy_paginate(plan.page_size, plan.scan, reader, offset=plan.offset)
    with closing(pages):
        sent = 0
        for page in pages:
            sent, number = sent + 1, number + 1
            stats.rows += page.user_count
            position = replace(
                position, after=page.last_key, page_number=number, freshness=users.freshness
            )
            token = encode_token(plan.bound_to, position) if page.has_more else ""
            yield encoding.message(
                page.users,
                pb.PaginateResponse(next_page_token=token, page_number=number, key_order=order),
            )
            if sent == plan.page_limit:
                return
    if not sent:
        yield pb.PaginateResponse(page_number=number + 1, key_order=order).SerializeToString()
