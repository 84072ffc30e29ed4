"""The sync client."""

import threading
from collections.abc import Callable, Generator
from functools import partial
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2_grpc

from userstream_client import _messages as messages
from userstream_client import _scans as scans
from userstream_client._channel import (
    HEALTH_NAMES,
    TlsOptions,
    connection_from,
    health_status_from_failure,
    open_channel,
)
from userstream_client._retry import DEFAULT_RESUME, Attempts, ResumePolicy
from userstream_client._streams import BatchStream, UserStream, answer, answers
from userstream_client._watchdog import Watchdog
from userstream_client.errors import CallCancelledError
from userstream_client.models import (
    AverageAge,
    AverageAgeProgress,
    Checkpoint,
    Consistency,
    Health,
    HealthStatus,
    Page,
    Partition,
    UserFilter,
)

__all__ = ["UserStreamClient"]


class UserStreamClient:
    """Reads users from a userstream server.

    A context manager; without `with`, call `close()`. Threads may share a client, but not a stream.
    Every stream goes on by itself after the server or the network failed, and is verified: users
    ascend, and their number and CRC-32 are those of the server's receipt.

    Args:
        target: host:port, several with commas between (calls go to them in turn, those that are not
            SERVING are left out), or a gRPC target. What is None comes from the USERSTREAM_
            settings, in the environment or `.env`.
        tls: How to verify the server; None for the settings', which by default use no TLS.
        token: Bearer token; None for the settings', empty for none.
        timeout_seconds: The limit of each whole call, resumes included.
        attempt_timeout_seconds: The longest wait for a stream's next message.
        resume: How to go on after failures; None for not at all.

    Raises:
        SettingsError: A setting or an argument is wrong, or a file cannot be read.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        tls: TlsOptions | None = None,
        token: str | None = None,
        timeout_seconds: float | None = None,
        attempt_timeout_seconds: float | None = None,
        resume: ResumePolicy | None = DEFAULT_RESUME,
    ) -> None:
        """Prepare the channel; it connects at the first call."""
        self._connection = connection_from(
            target,
            tls=tls,
            token=token,
            timeout_seconds=timeout_seconds,
            attempt_timeout_seconds=attempt_timeout_seconds,
            resume=resume,
        )
        self._channels: list[grpc.Channel] = []
        self._closed = False
        # Calls share what they learn of the target.
        policy, limit_seconds = self._connection.resume, self._connection.timeout_seconds
        self._attempts = partial(Attempts, policy, limit_seconds, met=threading.Event())
        self._connect()
        self._watchdog = Watchdog(self._connection.attempt_timeout_seconds)

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

    def stream_users(
        self,
        where: UserFilter | None = None,
        *,
        limit: int = 0,
        partition: str = "",
        consistency: Consistency = Consistency.LIVE,
        max_users_per_message: int = 0,
        resume_token: str | Checkpoint = "",
    ) -> UserStream:
        """Return the matching users one by one, in ascending order of user_id.

        Args:
            where: Which users; None for all.
            limit: The most users in the whole scan; 0 for all.
            partition: One key range, from `partitions()`; empty for the whole table.
            consistency: What to promise about concurrent writes.
            max_users_per_message: 0 lets the server pack messages; 1 sends each user by itself.
            resume_token: `checkpoint` or `resume_token` of an earlier stream of the same request. A
                bare token knows nothing of the users before it: the receipt's CRC-32 then goes
                unchecked, its count does not.

        Returns:
            An iterator that also has `receipt`, `progress`, `checkpoint`, `chunks()` and `close()`.
            Its `next` raises UserStreamError.
        """
        scan = scans.stream_users_scan(
            where,
            limit=limit,
            partition=partition,
            consistency=consistency,
            max_users_per_message=max_users_per_message,
            resume_token=resume_token,
        )
        return UserStream(scan, answers(scan, *self._call("StreamUsers")))

    def batch_users(
        self,
        batch_size: int = 0,
        where: UserFilter | None = None,
        *,
        limit: int = 0,
        partition: str = "",
        consistency: Consistency = Consistency.LIVE,
        resume_token: str | Checkpoint = "",
    ) -> BatchStream:
        """Return the matching users in lists of exactly `batch_size`, the last one shorter.

        Args:
            batch_size: 0 for the server's default, 1000; at most 10000.
            where: Which users; without its `age_over`, those over 25.
            limit: See `stream_users`, as for all the others.
            partition: One key range; empty for the whole table.
            consistency: What to promise about concurrent writes.
            resume_token: Where to go on.

        Returns:
            An iterator of lists with the attributes of `stream_users`' iterator.
        """
        scan = scans.batch_users_scan(
            batch_size,
            where,
            limit=limit,
            partition=partition,
            consistency=consistency,
            resume_token=resume_token,
        )
        return BatchStream(scan, answers(scan, *self._call("BatchUsers")))

    def lazy_paginate(
        self,
        page_size: int = 0,
        where: UserFilter | None = None,
        *,
        page_token: str = "",
        offset: int = 0,
        page_limit: int = 0,
    ) -> Generator[Page]:
        """Yield pages; each is read from the database only when it is asked for.

        Args:
            page_size: 0 for the server's default, 100; taken as 10000 where it is more.
            where: Which users; None for all.
            page_token: A page's `next_page_token`; empty for the start.
            offset: Skip this many users first; not together with `page_token`.
            page_limit: The most pages; 0 for all.

        Yields:
            At least one page, which is empty when no user matches.

        Raises:
            UserStreamError: A page could not be had.
        """
        scan = scans.PageScan(where, page_size=page_size, page_token=page_token, offset=offset)
        pages = 0
        while not scan.last and (page_limit == 0 or pages < page_limit):
            scan.begin()
            yield from answers(scan, *self._call("Paginate"))
            pages += 1

    def average_age(
        self, where: UserFilter | None = None, *, include_histogram: bool = False
    ) -> AverageAge:
        """Return the exact average age of the matching users.

        Args:
            where: Which users; None for all.
            include_histogram: Also count the users of each age.

        Raises:
            UserStreamError: The call failed for good.
        """
        request = scans.average_age_request(where, include_histogram=include_histogram)
        return messages.average_age_from(self._ask("AverageAge", request))

    def stream_average_age(
        self, where: UserFilter | None = None, *, resume_token: str = ""
    ) -> Generator[AverageAgeProgress]:
        """Yield running figures about once a second; the last ones are final and exact.

        Args:
            where: Which users; None for all.
            resume_token: Of earlier figures for the same filter.

        Raises:
            UserStreamError: The call failed for good.
        """
        scan = scans.AgesScan(where, resume_token)
        return answers(scan, *self._call("StreamAverageAge"))

    def partitions(self, partition_count: int, where: UserFilter | None = None) -> list[Partition]:
        """Split the table into key ranges of about equal numbers of matching users.

        Args:
            partition_count: 1 to 1000; fewer come back when there are fewer users.
            where: Which users to balance; stream each range with the same filter.

        Returns:
            The ranges in key order; together they are the whole table exactly once.

        Raises:
            UserStreamError: The call failed for good.
        """
        request = scans.partitions_request(partition_count, where)
        return messages.partitions_from(self._ask("PartitionUsers", request))

    def health(self) -> Health:
        """Ask the server how it feels; once, without trying again.

        Raises:
            UserStreamError: It did not answer.
        """
        with open_channel(self._connection, balanced=False) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            return Health(*(self._health_of(check, name) for name in HEALTH_NAMES))

    def _health_of(self, check: Callable[..., Any], name: str) -> HealthStatus:
        request = health_pb2.HealthCheckRequest(service=name)
        try:
            response = check(
                request,
                timeout=self._connection.health_timeout_seconds,
                metadata=self._connection.metadata,
            )
        except grpc.RpcError as failure:
            return health_status_from_failure(failure)
        return HealthStatus(response.status)

    def _ask(self, name: str, request: object) -> Any:
        return answer(request, partial(self._start, name), self._attempts())

    def _call(self, name: str) -> tuple[Callable[..., Any], Attempts, Watchdog]:
        """Return what `answers` needs to drive a method."""
        return partial(self._start, name), self._attempts(), self._watchdog

    def _start(self, name: str, request: object, *, afresh: bool = False, **options: Any) -> Any:
        # A stream may come here long after its client was closed, from the wait before an attempt.
        if self._closed:
            raise CallCancelledError("the client is closed", code=grpc.StatusCode.CANCELLED)
        if afresh:
            self._connect()
        method = getattr(self._stub, name)
        return method(request, metadata=self._connection.metadata, **options)

    def _connect(self) -> None:
        """Use a new connection from now on; calls on others go on there."""
        self._channels.append(open_channel(self._connection))
        self._stub = user_service_pb2_grpc.UserServiceStub(self._channels[-1])
