"""The sync client: `_core.py` with blocking I/O."""

from collections.abc import Generator, Iterable, Sequence
from functools import cached_property
from types import TracebackType
from typing import Self, TypeVar

import grpc

from userstream_client import _health
from userstream_client._calls import Scan
from userstream_client._core import ClientCore
from userstream_client._scans import AgesScan, PageScan, UserScan
from userstream_client._streams import BatchStream, UserStream, stream_items, unary_result
from userstream_client._watchdog import Watchdog
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

__all__ = ["UserStreamClient"]

ItemT = TypeVar("ItemT")


class UserStreamClient(ClientCore[UserStream, BatchStream, Generator[AverageAgeProgress]]):
    """Reads users from a userstream server.

    A context manager; without `with`, call `close()`. Threads may share a client, but not a stream.
    Every stream resumes by itself after a failure of the server or the network, and is verified: users
    ascend, and the server's receipt is that of the users received and of the call made.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all calls and the connection."""
        self._closed = True
        for channel in self._channels:
            channel.close()

    def lazy_paginate(
        self,
        page_size: int = 0,
        where: UserFilter | None = None,
        *,
        page_token: str = "",
        offset: int = 0,
        page_limit: int = 0,
        fields: Iterable[str] | str = (),
    ) -> Generator[Page]:
        scan = PageScan(
            where, page_size, page_token, offset=offset, page_limit=page_limit, fields=fields
        )
        while scan.begin_page():
            yield from self._items(scan)

    def batch_get_users(
        self, user_ids: Sequence[str], *, fields: Iterable[str] | str = ()
    ) -> UserLookup:
        return unary_result(self._lookup_call(user_ids, fields), self._start)

    def average_age(
        self, where: UserFilter | None = None, *, include_histogram: bool = False
    ) -> AverageAge:
        call = self._average_age_call(where, include_histogram=include_histogram)
        return unary_result(call, self._start)

    def partitions(self, partition_count: int, where: UserFilter | None = None) -> list[Partition]:
        return unary_result(self._partitions_call(partition_count, where), self._start)

    def health(self) -> Health:
        with self._open_channel(balanced=False) as channel:
            return Health(*(self._health_of(channel, service) for service in _health.SERVICES))

    def _health_of(self, channel: grpc.Channel, service: str) -> HealthStatus:
        try:
            response = _health.start_check(channel, service, self._connection)
        except grpc.RpcError as failure:
            return _health.status_from_failure(failure)
        return HealthStatus(response.status)

    def _open_channel(self, *, balanced: bool = True) -> grpc.Channel:
        target, credentials, options = self._connection.channel_arguments(balanced=balanced)
        if credentials is None:
            return grpc.insecure_channel(target, options)
        return grpc.secure_channel(target, credentials, options)

    def _user_stream(self, scan: UserScan) -> UserStream:
        return UserStream(scan, self._items(scan))

    def _batch_stream(self, scan: UserScan) -> BatchStream:
        return BatchStream(scan, self._items(scan))

    def _running_average(self, scan: AgesScan) -> Generator[AverageAgeProgress]:
        return self._items(scan)

    def _items(self, scan: Scan[ItemT]) -> Generator[ItemT]:
        return stream_items(self._stream_call(scan), self._start, self._watchdog)

    @cached_property
    def _watchdog(self) -> Watchdog:
        return Watchdog(self._connection.attempt_timeout_seconds)
