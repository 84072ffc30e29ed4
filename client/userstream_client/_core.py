"""What both clients share: arguments, documentation, requests and retry decisions. No I/O of its own."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from userstream.v1 import user_service_pb2 as pb

from userstream_client import _messages as messages
from userstream_client._base import ClientBase
from userstream_client._calls import UnaryCall
from userstream_client._fields import mask_of
from userstream_client._scans import AgesScan, UserScan
from userstream_client.models import (
    AverageAge,
    Checkpoint,
    Consistency,
    Partition,
    UserFilter,
    UserLookup,
)

__all__ = ["ClientCore"]

UserStreamT = TypeVar("UserStreamT")
BatchStreamT = TypeVar("BatchStreamT")
RunningAverageT = TypeVar("RunningAverageT")


class ClientCore(ClientBase, Generic[UserStreamT, BatchStreamT, RunningAverageT]):
    """A client without its I/O.

    Calls that return an iterator are complete here; a client says what kind of iterator it is. Calls
    that wait for an answer are only declared: the sync client returns it, the asyncio client awaits it.
    """

    def stream_users(
        self,
        where: UserFilter | None = None,
        *,
        limit: int = 0,
        partition: str = "",
        consistency: Consistency = Consistency.LIVE,
        max_users_per_message: int = 0,
        resume_token: str | Checkpoint = "",
        fields: Iterable[str] | str = (),
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
            fields: What to read of each user, such as `("name", "age")`; user_id always comes, and the
                others are empty ("" and 0). Empty for all fields.

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
            read_mask=mask_of(fields),
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
        fields: Iterable[str] | str = (),
    ) -> BatchStreamT:
        """Return the matching users in lists of exactly `batch_size`; only the last may be shorter.

        Args:
            batch_size: 0 for the server's default, 1000; at most 10000.
            where: Which users; without its `age_over`, those over 25.
            limit: The most users in the whole scan; 0 for all.
            partition: One key range, from `partitions()`; empty for the whole table.
            consistency: What to promise about concurrent writes.
            resume_token: `checkpoint` or `resume_token` of an earlier stream of the same request.
            fields: What to read of each user, as for `stream_users`; empty for all fields.

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
            read_mask=mask_of(fields),
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
        fields: Iterable[str] | str = (),
    ) -> Any:
        """Yield pages; each is read from the database only when it is asked for.

        Args:
            page_size: Users a page. 0 for the server's default, 100; more than 10000 are taken as 10000.
            where: Which users; None for all.
            page_token: A page's `next_page_token`; empty for the start.
            offset: Skip this many users first; not together with `page_token`.
            page_limit: The most pages; 0 for all.
            fields: What to read of each user, as for `stream_users`; empty for all fields.

        Yields:
            `Page`; at least one, which is empty when no user matches.

        Raises:
            UserStreamError: A page could not be read.
        """

    @abstractmethod
    def batch_get_users(self, user_ids: Sequence[str], *, fields: Iterable[str] | str = ()) -> Any:
        """Return the users with these ids.

        Args:
            user_ids: 1 to 1000 ids, each exactly as the table holds it.
            fields: What to read of each user, as for `stream_users`; empty for all fields.

        Returns:
            `UserLookup`: the users in the order of the ids, and the ids that no user has.

        Raises:
            UserStreamError: The call failed and will not be retried, or brought other users.
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
    def _user_stream(self, scan: UserScan) -> UserStreamT: ...

    @abstractmethod
    def _batch_stream(self, scan: UserScan) -> BatchStreamT: ...

    @abstractmethod
    def _running_average(self, scan: AgesScan) -> RunningAverageT: ...

    def _lookup_call(
        self, user_ids: Sequence[str], fields: Iterable[str] | str
    ) -> UnaryCall[UserLookup]:
        request = pb.BatchGetUsersRequest(user_ids=user_ids, read_mask=mask_of(fields))
        found = partial(messages.lookup_from, user_ids=tuple(user_ids))
        return UnaryCall("BatchGetUsers", request, found, self._attempts())

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
