"""What both clients share: arguments, documentation, requests and retry decisions. No I/O of its own."""

import threading
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import grpc
from userstream.v1 import user_service_pb2 as pb

from userstream_client import _messages as messages
from userstream_client._calls import Attempt, Scan, StreamCall, UnaryCall
from userstream_client._retry import DEFAULT_RESUME, Attempts, ResumePolicy
from userstream_client._scans import AgesScan, UserScan
from userstream_client.errors import CallCancelledError
from userstream_client.models import (
    AverageAge,
    Checkpoint,
    Consistency,
    Partition,
    TlsOptions,
    UserFilter,
)

__all__ = ["ClientCore"]

ItemT = TypeVar("ItemT")
UserStreamT = TypeVar("UserStreamT")
BatchStreamT = TypeVar("BatchStreamT")
RunningAverageT = TypeVar("RunningAverageT")


class ClientCore(ABC, Generic[UserStreamT, BatchStreamT, RunningAverageT]):
    """A client without its I/O.

    Calls that return an iterator are complete here; a client says what kind of iterator it is. Calls
    that wait for an answer are only declared: the sync client returns it, the asyncio client awaits it.
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
        profile: str | None = None,
    ) -> None:
        """Prepare the channel; it connects at the first call.

        An argument that is None is taken from the profile, then from the USERSTREAM_ settings (environment, `.env`).

        Args:
            target: host:port; several with commas between, which take calls in turn as long as they are
                SERVING; or a gRPC target such as dns:///name:port.
            tls: How to verify the server. The settings' default is plaintext.
            token: Bearer token; empty for none.
            timeout_seconds: The limit of each whole call, resumes included.
            attempt_timeout_seconds: The longest wait for a stream's next message.
            resume: How to retry and resume after failures; None never does.
            profile: A table [profile.NAME] of `~/.config/userstream/config.toml`.

        Raises:
            SettingsError: A setting or an argument is wrong, or a file cannot be read.
        """
        # Late, because it imports pydantic-settings, which takes longer than gRPC.
        from userstream_client._channel import connection_from  # noqa: PLC0415

        self._connection = connection_from(
            target,
            tls=tls,
            token=token,
            timeout_seconds=timeout_seconds,
            attempt_timeout_seconds=attempt_timeout_seconds,
            resume=resume,
            profile=profile,
        )
        # Shared by all calls: what one learns about the target holds for the others.
        self._target_answered = threading.Event()
        self._closed = False
        self._channels: list[Any] = []
        self._connect()

    def stream_users(
        self,
        where: UserFilter | None = None,
        *,
        limit: int = 0,
        partition: str = "",
        consistency: Consistency = Consistency.LIVE,
        max_users_per_message: int = 0,
        resume_token: str | Checkpoint = "",
    ) -> UserStreamT:
        """Return the matching users one by one, in ascending order of user_id.

        Args:
            where: Which users; None for all.
            limit: The most users in the whole scan; 0 for all.
            partition: One key range, from `partitions()`; empty for the whole table.
            consistency: What to promise about concurrent writes.
            max_users_per_message: 0 lets the server pack messages; 1 sends each user by itself.
            resume_token: `checkpoint` or `resume_token` of an earlier stream of the same request. With a
                bare token, the users before it are unknown: the receipt's CRC-32 is not checked, its
                count is.

        Returns:
            A `UserStream`, in asyncio an `AsyncUserStream`: an iterator of `User` that also has
            `receipt`, `progress`, `checkpoint`, `chunks()` and a method to close it. Iterating raises
            UserStreamError.
        """
        request = pb.StreamUsersRequest(
            filter=messages.filter_to(where),
            limit=limit,
            partition=partition,
            max_users_per_message=max_users_per_message,
        )
        start = messages.checkpoint_of(resume_token)
        return self._user_stream(UserScan("StreamUsers", request, start, consistency))

    def batch_users(
        self,
        batch_size: int = 0,
        where: UserFilter | None = None,
        *,
        limit: int = 0,
        partition: str = "",
        consistency: Consistency = Consistency.LIVE,
        resume_token: str | Checkpoint = "",
    ) -> BatchStreamT:
        """Return the matching users in lists of exactly `batch_size`; only the last may be shorter.

        Args:
            batch_size: 0 for the server's default, 1000; at most 10000.
            where: Which users; without its `age_over`, those over 25.
            limit: The most users in the whole scan; 0 for all.
            partition: One key range, from `partitions()`; empty for the whole table.
            consistency: What to promise about concurrent writes.
            resume_token: `checkpoint` or `resume_token` of an earlier stream of the same request.

        Returns:
            A `BatchStream`, in asyncio an `AsyncBatchStream`: an iterator of lists of `User` that also
            has `receipt`, `progress`, `checkpoint` and a method to close it. Iterating raises
            UserStreamError.
        """
        request = pb.BatchUsersRequest(
            batch_size=batch_size,
            filter=messages.filter_to(where),
            limit=limit,
            partition=partition,
        )
        start = messages.checkpoint_of(resume_token)
        return self._batch_stream(UserScan("BatchUsers", request, start, consistency))

    def stream_average_age(
        self, where: UserFilter | None = None, *, resume_token: str = ""
    ) -> RunningAverageT:
        """Yield running figures about once a second; the last ones are final and exact.

        Args:
            where: Which users; None for all.
            resume_token: Of earlier figures for the same filter.

        Yields:
            `AverageAgeProgress`: users, sum of ages in years and progress from the start of the scan.

        Raises:
            UserStreamError: The call failed and will not be retried.
        """
        return self._running_average(AgesScan(where, resume_token))

    @abstractmethod
    def lazy_paginate(
        self,
        page_size: int = 0,
        where: UserFilter | None = None,
        *,
        page_token: str = "",
        offset: int = 0,
        page_limit: int = 0,
    ) -> Any:
        """Yield pages; each is read from the database only when it is asked for.

        Args:
            page_size: Users a page. 0 for the server's default, 100; more than 10000 are taken as 10000.
            where: Which users; None for all.
            page_token: A page's `next_page_token`; empty for the start.
            offset: Skip this many users first; not together with `page_token`.
            page_limit: The most pages; 0 for all.

        Yields:
            `Page`; at least one, which is empty when no user matches.

        Raises:
            UserStreamError: A page could not be read.
        """

    @abstractmethod
    def average_age(
        self, where: UserFilter | None = None, *, include_histogram: bool = False
    ) -> Any:
        """Return the exact average age of the matching users.

        Args:
            where: Which users; None for all.
            include_histogram: Also count the users of each age.

        Returns:
            `AverageAge`: the number of users, the sum of their ages in years, and the histogram.

        Raises:
            UserStreamError: The call failed and will not be retried.
        """

    @abstractmethod
    def partitions(self, partition_count: int, where: UserFilter | None = None) -> Any:
        """Split the table into key ranges of about equal numbers of matching users.

        Args:
            partition_count: 1 to 1000; fewer come back when there are fewer users.
            where: Which users to balance; stream each range with the same filter.

        Returns:
            A list of `Partition` in key order; together they cover the whole table exactly once.

        Raises:
            UserStreamError: The call failed and will not be retried.
        """

    @abstractmethod
    def health(self) -> Any:
        """Return the server's `Health`: one attempt, at most 10 seconds.

        Raises:
            UserStreamError: The server did not answer.
        """

    @abstractmethod
    def _open_channel(self, *, balanced: bool = True) -> Any:
        """Open a channel; it connects at the first call."""

    @abstractmethod
    def _user_stream(self, scan: UserScan) -> UserStreamT: ...

    @abstractmethod
    def _batch_stream(self, scan: UserScan) -> BatchStreamT: ...

    @abstractmethod
    def _running_average(self, scan: AgesScan) -> RunningAverageT: ...

    def _average_age_call(
        self, where: UserFilter | None, *, include_histogram: bool
    ) -> UnaryCall[AverageAge]:
        request = pb.AverageAgeRequest(
            filter=messages.filter_to(where), include_histogram=include_histogram
        )
        return UnaryCall("AverageAge", request, messages.average_age_from, self._attempts())

    def _partitions_call(
        self, partition_count: int, where: UserFilter | None
    ) -> UnaryCall[list[Partition]]:
        request = pb.PartitionUsersRequest(
            filter=messages.filter_to(where), partition_count=partition_count
        )
        return UnaryCall("PartitionUsers", request, messages.partitions_from, self._attempts())

    def _stream_call(self, scan: Scan[ItemT]) -> StreamCall[ItemT]:
        return StreamCall(scan, self._attempts())

    def _attempts(self) -> Attempts:
        policy, limit_seconds = self._connection.resume, self._connection.timeout_seconds
        return Attempts(policy, limit_seconds, answered=self._target_answered)

    def _start(self, attempt: Attempt) -> Any:
        """Hand an attempt to gRPC; return the call, or what gRPC returns for a unary one.

        Responses stay bytes: this package decodes them itself, with `native_users.c` where it can.
        """
        # A stream may get here long after its client was closed: after the wait before an attempt.
        if self._closed:
            raise CallCancelledError("the client is closed", code=grpc.StatusCode.CANCELLED)
        if attempt.reconnect:
            self._connect()
        channel = self._channels[-1]
        method_of = channel.unary_stream if attempt.streaming else channel.unary_unary
        method = method_of(
            f"/{messages.SERVICE_NAME}/{attempt.method}", request_serializer=_serialize
        )
        return method(
            attempt.request, timeout=attempt.timeout_seconds, metadata=self._connection.metadata
        )

    def _connect(self) -> None:
        """Use a new channel from now on; running calls stay on theirs."""
        self._channels.append(self._open_channel())


def _serialize(request: Any) -> bytes:
    data: bytes = request.SerializeToString()
    return data
