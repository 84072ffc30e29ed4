"""The asyncio client: `_core.py` with awaits."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

import grpc
import grpc.aio

from userstream_client import _health
from userstream_client._async_streams import (
    AsyncBatchStream,
    AsyncUserStream,
    stream_items,
    unary_result,
)
from userstream_client._calls import Scan
from userstream_client._core import ClientCore
from userstream_client._scans import AgesScan, PageScan, UserScan
from userstream_client.models import (
    AverageAge,
    AverageAgeProgress,
    Health,
    HealthStatus,
    Page,
    Partition,
    UserFilter,
    UserLookup,
)

__all__ = ["AsyncUserStreamClient"]

ItemT = TypeVar("ItemT")


class AsyncUserStreamClient(
    ClientCore[AsyncUserStream, AsyncBatchStream, AsyncGenerator[AverageAgeProgress]]
):
    """Reads users from a userstream server.

    An async context manager; without `async with`, await `close()`. Create and use it in one event loop.
    Await what returns one answer; iterate over the rest with `async for`.
    Every stream resumes by itself after a failure of the server or the network, and is verified: users
    ascend, and the server's receipt is that of the users received and of the call made.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all calls and the connection."""
        self._closed = True
        for channel in self._channels:
            await channel.close()

    async def lazy_paginate(
        self,
        page_size: int = 0,
        where: UserFilter | None = None,
        *,
        page_token: str = "",
        offset: int = 0,
        page_limit: int = 0,
        fields: Iterable[str] | str = (),
    ) -> AsyncGenerator[Page]:
        scan = PageScan(
            where, page_size, page_token, offset=offset, page_limit=page_limit, fields=fields
        )
        while scan.begin_page():
            async with aclosing(self._items(scan)) as pages:
                async for page in pages:
                    yield page

    async def batch_get_users(
        self, user_ids: Sequence[str], *, fields: Iterable[str] | str = ()
    ) -> UserLookup:
        return await unary_result(self._lookup_call(user_ids, fields), self._start)

    async def average_age(
        self, where: UserFilter | None = None, *, include_histogram: bool = False
    ) -> AverageAge:
        call = self._average_age_call(where, include_histogram=include_histogram)
        return await unary_result(call, self._start)

    async def partitions(
        self, partition_count: int, where: UserFilter | None = None
    ) -> list[Partition]:
        return await unary_result(self._partitions_call(partition_count, where), self._start)

    async def health(self) -> Health:
        async with self._open_channel(balanced=False) as channel:
            return Health(
                *[await self._health_of(channel, service) for service in _health.SERVICES]
            )

    async def _health_of(self, channel: grpc.aio.Channel, service: str) -> HealthStatus:
        try:
            response = await _health.start_check(channel, service, self._connection)
        except grpc.RpcError as failure:
            return _health.status_from_failure(failure)
        return HealthStatus(response.status)

    def _open_channel(self, *, balanced: bool = True) -> grpc.aio.Channel:
        target, credentials, options = self._connection.channel_arguments(balanced=balanced)
        if credentials is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, credentials, options)

    def _user_stream(self, scan: UserScan) -> AsyncUserStream:
        return AsyncUserStream(scan, self._items(scan))

    def _batch_stream(self, scan: UserScan) -> AsyncBatchStream:
        return AsyncBatchStream(scan, self._items(scan))

    def _running_average(self, scan: AgesScan) -> AsyncGenerator[AverageAgeProgress]:
        return self._items(scan)

    def _items(self, scan: Scan[ItemT]) -> AsyncGenerator[ItemT]:
        limit_seconds = self._connection.attempt_timeout_seconds
        return stream_items(self._stream_call(scan), self._start, limit_seconds)
