"""Everybody comes exactly once, in the table's order, by every call: checked over a server in this process."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from userstream.v1 import user_service_pb2 as pb
from userstream_client import Consistency, UserFilter, UserStreamClient

from userstream_testing.calls import stub_for
from userstream_testing.in_process import served

__all__ = ["check_all", "ids"]

EVERYONE = pb.UserFilter(age_over=-1)


def ids(messages: list[Any]) -> list[str]:
    """Return the user_ids of messages, in their order."""
    return [user.user_id for message in messages for user in message.users]


def check_streams(stub: Any, expected: list[str], order: int) -> None:
    """Check StreamUsers: order, key_order in each message, CRC-32; and a resume at every position, also in SNAPSHOT."""
    for consistency in (pb.CONSISTENCY_LIVE, pb.CONSISTENCY_SNAPSHOT):
        request = pb.StreamUsersRequest(max_users_per_message=1, consistency=consistency)
        messages = list(stub.StreamUsers(request))

        assert expected == ids(messages)
        assert {order} == {m.key_order for m in messages} | {messages[-1].receipt.key_order}
        assert crc32("".join(expected).encode()) == messages[-1].receipt.user_id_crc32
        for at, message in enumerate(
            messages[:: 1 if consistency == pb.CONSISTENCY_LIVE else 9], 1
        ):
            request.resume_token = message.resume_token
            rest = list(stub.StreamUsers(request))

            assert expected[expected.index(message.users[0].user_id) + 1 :] == ids(rest), at
            assert messages[-1].receipt.user_id_crc32 == rest[-1].receipt.user_id_crc32


def check_batches_and_pages(stub: Any, expected: list[str], order: int) -> None:
    """Check BatchUsers, resumed behind every batch, and Paginate, page by page."""
    request = pb.BatchUsersRequest(batch_size=3, filter=EVERYONE)
    batches = list(stub.BatchUsers(request))
    for number, batch in enumerate(batches, 1):
        request.resume_token = batch.resume_token

        assert expected[3 * number :] == ids(list(stub.BatchUsers(request)))
        assert order == batch.key_order
    pages: list[Any] = []
    page_request = pb.PaginateRequest(page_size=3, page_limit=1)
    while not pages or page_request.page_token:
        pages += list(stub.Paginate(page_request))
        page_request.page_token = pages[-1].next_page_token

    assert expected == ids(batches) == ids(pages)
    assert {order} == {page.key_order for page in pages}


def check_partitions(stub: Any, expected: list[str]) -> None:
    """Check that partitions are the whole, each also resumed in its middle."""
    for count in (1, 2, 7, len(expected)):
        found = []
        parts = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=count)).partitions
        for part in parts:
            request = pb.StreamUsersRequest(max_users_per_message=2, partition=part.partition)
            first = next(iter(stub.StreamUsers(request)))
            request.resume_token = first.resume_token
            found += ids([first, *stub.StreamUsers(request)])

        assert expected == found
        assert count == len(parts)


def check_client(target: str, expected: list[str]) -> None:
    """Check that our own client takes each kind of stream for what it is."""
    with UserStreamClient(target) as client:
        for consistency in Consistency:
            stream = client.stream_users(max_users_per_message=3, consistency=consistency)

            assert expected == [user.user_id for user in stream]
            assert stream.receipt is not None
        batches = list(client.batch_users(7, UserFilter(age_over=-1)))
        pages = list(client.lazy_paginate(7))
        parts = [client.stream_users(partition=p.partition) for p in client.partitions(5)]

        assert expected == [user.user_id for batch in batches for user in batch]
        assert expected == [user.user_id for page in pages for user in page.users]
        assert expected == [user.user_id for part in parts for user in part]


def check_all(
    url: str, expected: list[str], order: int, *, ages: Sequence[int], **settings: Any
) -> None:
    """Check every call over a table, also resumed at every position.

    Args:
        url: The database.
        expected: All user_ids, in the order that the table has.
        order: What the messages say of that.
        ages: The users' ages, in any order.
        settings: Of the server, by their names in lower case.
    """
    with served(url, **settings) as target, stub_for(target) as stub:
        check_streams(stub, expected, order)
        check_batches_and_pages(stub, expected, order)
        check_partitions(stub, expected)
        check_client(target, expected)
        *_, final = stub.StreamAverageAge(pb.StreamAverageAgeRequest())

        assert (len(ages), sum(ages)) == (final.user_count, final.age_sum)
