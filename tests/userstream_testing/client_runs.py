"""The same run through the sync and the asyncio client, so that each promise is tested on both."""

import asyncio
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from userstream_client import (
    AsyncUserStreamClient,
    Checkpoint,
    Receipt,
    ResumePolicy,
    User,
    UserStreamClient,
    UserStreamError,
)

__all__ = ["KINDS", "PATIENT", "QUICK", "Outcome", "read_users", "verified"]

KINDS = ("sync", "async")
QUICK = ResumePolicy(
    attempts=4, first_attempts=4, initial_backoff_seconds=0.001, max_backoff_seconds=0.002
)
PATIENT = ResumePolicy(
    attempts=400, first_attempts=400, initial_backoff_seconds=0.02, max_backoff_seconds=0.1
)
"""Waits through the restart of a server or a database."""


@dataclass
class Outcome:
    """What a caller saw of a stream.

    Attributes:
        users: In the order they came.
        error: What the stream raised; None when it ended well.
        receipt: Its receipt.
        checkpoint: Where it stood at the end.
    """

    users: list[User]
    error: UserStreamError | None
    receipt: Receipt | None
    checkpoint: Checkpoint


def read_users(
    kind: str,
    target: str,
    *,
    method: str = "stream_users",
    most: int = 0,
    **options: Any,
) -> Outcome:
    """Read a stream to its end or its error, or leave it after so many of its items.

    Args:
        kind: `sync` or `async`.
        target: The server.
        method: `stream_users` or `batch_users`, whose lists are joined.
        most: After how many users or batches to leave; 0 for never.
        options: Of the call, and of the client where they are the client's.
    """
    names = ("resume", "timeout_seconds", "attempt_timeout_seconds", "token", "tls")
    client = {"resume": QUICK} | {n: options.pop(n) for n in names if n in options}
    if kind == "sync":
        return _read(target, method, most, client, options)
    return asyncio.run(_read_async(target, method, most, client, options))


def _read(
    target: str,
    method: str,
    most: int,
    client: dict[str, Any],
    call: dict[str, Any],
) -> Outcome:
    users: list[User] = []
    error = None
    with UserStreamClient(target, **client) as opened:
        stream = getattr(opened, method)(**call)
        try:
            for number, item in enumerate(stream, 1):
                users += [item] if isinstance(item, User) else item
                if number == most:
                    break
        except UserStreamError as raised:
            error = raised
        return Outcome(users, error, stream.receipt, stream.checkpoint)


async def _read_async(
    target: str,
    method: str,
    most: int,
    client: dict[str, Any],
    call: dict[str, Any],
) -> Outcome:
    users: list[User] = []
    error = None
    async with AsyncUserStreamClient(target, **client) as opened:
        stream = getattr(opened, method)(**call)
        try:
            number = 0
            async for item in stream:
                users += [item] if isinstance(item, User) else item
                if (number := number + 1) == most:
                    break
        except UserStreamError as raised:
            error = raised
        return Outcome(users, error, stream.receipt, stream.checkpoint)


def verified(outcome: Outcome, user_ids: list[str]) -> bool:
    """Say whether a stream ended well with exactly these users, and a receipt that says the same."""
    whole = (len(user_ids), crc32("".join(user_ids).encode()))
    return (
        outcome.error is None
        and outcome.receipt is not None
        and user_ids == [user.user_id for user in outcome.users]
        and whole == (outcome.receipt.user_count, outcome.receipt.user_id_crc32)
    )
