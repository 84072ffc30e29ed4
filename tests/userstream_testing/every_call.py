"""Each streaming call of both clients, read to its end: what it brought, and what the table holds."""

import asyncio
from typing import Any

from userstream_client import (
    AsyncUserStreamClient,
    AverageAgeProgress,
    Page,
    User,
    UserFilter,
    UserStreamClient,
)

from userstream_testing.admin import execute

__all__ = ["CALLS", "everything", "held"]

CALLS = ("StreamUsers", "BatchUsers", "Paginate", "StreamAverageAge")


def everything(kind: str, target: str, call: str, *, size: int = 7, **options: Any) -> list[object]:
    """Read all users of a table by one call.

    Args:
        kind: `sync` or `async`.
        target: The server.
        call: One of `CALLS`.
        size: Users a message, a batch or a page.
        options: Of the client.

    Returns:
        The user_ids as they came; for ages, the final count and sum.
    """
    if kind == "sync":
        with UserStreamClient(target, **options) as client:
            return [part for item in _begun(client, call, size) for part in _parts(item)]
    return asyncio.run(_everything(target, call, size, options))


def held(url: str, call: str) -> list[object]:
    """Return what `everything` must have brought of the table."""
    if call == "StreamAverageAge":
        ((count, total),) = execute(url, "SELECT COUNT(*), SUM(age) FROM user_data")
        return [(int(count), int(total))]
    return [row[0] for row in execute(url, "SELECT user_id FROM user_data ORDER BY user_id")]


async def _everything(target: str, call: str, size: int, options: dict[str, Any]) -> list[object]:
    async with AsyncUserStreamClient(target, **options) as client:
        return [part async for item in _begun(client, call, size) for part in _parts(item)]


def _begun(client: Any, call: str, size: int) -> Any:
    begin = {
        "StreamUsers": lambda: client.stream_users(max_users_per_message=size),
        "BatchUsers": lambda: client.batch_users(size, UserFilter(age_over=-1)),
        "Paginate": lambda: client.lazy_paginate(size),
        "StreamAverageAge": client.stream_average_age,
    }
    return begin[call]()


def _parts(item: User | list[User] | Page | AverageAgeProgress) -> list[object]:
    if isinstance(item, AverageAgeProgress):
        return [(item.user_count, item.age_sum)] if item.final else []
    if isinstance(item, User):
        return [item.user_id]
    users = item.users if isinstance(item, Page) else item
    return [user.user_id for user in users]
