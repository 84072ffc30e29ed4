"""UserService: each handler validates the request, opens a session and yields from a generator."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1 import user_service_pb2_grpc

from userstream_server.databases.database import Database
from userstream_server.interceptors.caller import caller_of
from userstream_server.rows.batches import EncodeUsers, ExactSize, GrowingSize
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session
from userstream_server.rpc import average_age, key_order, lookups, pages, partitions, validation
from userstream_server.rpc.cancellation import SessionInterrupter
from userstream_server.rpc.field_access import refuse_denied
from userstream_server.rpc.messages import StreamMessages
from userstream_server.rpc.progress import KeyMaps, ScanProgress
from userstream_server.rpc.tokens import Position

__all__ = ["UserService"]

_EVERY_FIELD = frozenset(ALL_FIELDS)
_PREFETCH_FROM_USERS = 64
"""Smaller messages cost far more to send than to read; prefetch would only compete with sending for the interpreter."""


class UserService(user_service_pb2_grpc.UserServiceServicer):
    """The RPCs. Those that carry users return serialized messages.

    Args:
        database: Where the users are.
        interrupter: Ends the queries of calls that end early.
        sizes: How many rows to read at once.
        readers: Threads that prefetch; fewer than there are connections.
        message_bytes: About how large a packed message grows.
        users_max: The most users in a batch, a page or a message.
        observe: Puts a measuring session around each one, if telemetry is on.
        fields_allowed: Returns the fields of a user that the running call's caller may read.
    """

    def __init__(
        self,
        database: Database,
        interrupter: SessionInterrupter,
        *,
        sizes: ChunkSizes,
        readers: Executor,
        message_bytes: int,
        users_max: int = validation.USERS_MAX,
        observe: Callable[[Session], Session] | None = None,
        fields_allowed: Callable[[], AbstractSet[str]] = lambda: _EVERY_FIELD,
    ) -> None:
        self._database = database
        self._interrupter = interrupter
        self._sizes = sizes
        self._readers = readers
        self._message_bytes = message_bytes
        self._users_max = users_max
        self._observe = observe
        self._fields_allowed = fields_allowed
        self._key_maps = KeyMaps(database)

    def StreamUsers(  # type: ignore[override]  # noqa: N802 - the proto's name; yields bytes
        self, request: pb.StreamUsersRequest, context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """Yield the users in order of user_id; the first message holds one, later ones more."""
        plan = validation.check_stream_users(request, users_max=self._users_max)
        with self._users(context, plan.scan, plan.position, plan) as users:
            size = GrowingSize(message_bytes=self._message_bytes, max_users=plan.message_users)
            reader = EncodeUsers(size, plan.position.user_id_crc32)
            with closing(users.stream_users(plan.scan, reader)) as batches:
                messages = self._messages(plan, pb.StreamUsersResponse, users)
                for batch in batches:
                    yield from messages.add(batch)
                yield from messages.finish()

    def BatchUsers(  # type: ignore[override]  # noqa: N802 - the proto's name; yields bytes
        self, request: pb.BatchUsersRequest, context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """Yield batches of exactly batch_size users; the last one may have fewer."""
        plan = validation.check_batch_users(request, users_max=self._users_max)
        with self._users(context, plan.scan, plan.position, plan) as users:
            size = ExactSize(plan.message_users)
            reader = EncodeUsers(size, plan.position.user_id_crc32)
            with closing(users.batch_processing(plan.message_users, plan.scan, reader)) as batches:
                messages = self._messages(plan, pb.BatchUsersResponse, users)
                for batch in batches:
                    yield from messages.add(batch)
                yield from messages.finish()

    def Paginate(  # type: ignore[override]  # noqa: N802 - the proto's name; yields bytes
        self, request: pb.PaginateRequest, context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """Yield pages, each read only when the one before was sent."""
        plan = validation.check_paginate(request, users_max=self._users_max)
        with self._users(context, plan.scan, plan.position) as users:
            yield from pages.paginate(users, plan)

    def BatchGetUsers(  # type: ignore[override]  # noqa: N802 - the proto's name; returns bytes
        self, request: pb.BatchGetUsersRequest, context: grpc.ServicerContext
    ) -> bytes:
        """Return the users with the ids that were asked for, in their order."""
        plan = validation.check_batch_get_users(request, users_max=self._users_max)
        with self._users(context, plan.scan) as users:
            return lookups.look_up(users, plan)

    def AverageAge(  # noqa: N802 - the proto's name
        self, request: pb.AverageAgeRequest, context: grpc.ServicerContext
    ) -> pb.AverageAgeResponse:
        """Return the average age, from sum and count."""
        scan = validation.check_average_age(request)
        with self._users(context, scan) as users:
            return average_age.average(users, scan, histogram=request.include_histogram)

    def StreamAverageAge(  # noqa: N802 - the proto's name
        self, request: pb.StreamAverageAgeRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.StreamAverageAgeResponse]:
        """Yield running figures about once a second, then the final ones."""
        plan = validation.check_stream_average_age(request)
        with self._users(context, plan.scan, plan.position) as users:
            progress = self._progress(users, replace(plan.scan, after=None), plan.position)
            yield from average_age.running_average(users, plan, progress)

    def PartitionUsers(  # noqa: N802 - the proto's name
        self, request: pb.PartitionUsersRequest, context: grpc.ServicerContext
    ) -> pb.PartitionUsersResponse:
        """Return key ranges with about equal numbers of users."""
        scan, count = validation.check_partition_users(request)
        with self._users(context, scan) as users:
            return pb.PartitionUsersResponse(partitions=partitions.split(users, scan, count))

    @contextmanager
    def _users(
        self,
        context: grpc.ServicerContext,
        scan: Scan,
        position: Position | None = None,
        stream: validation.StreamPlan | None = None,
    ) -> Iterator[Users]:
        """Open a session whose queries end with the call, however it ends.

        Args:
            context: The call.
            scan: What the call reads.
            position: How far the call's scan has got, if it can be resumed.
            stream: The plan, if it is a stream of users: how to read them.

        Raises:
            AccessDeniedError: The caller may not read a field that the call needs.
        """
        refuse_denied(scan, self._fields_allowed())
        remaining = context.time_remaining()
        snapshot = stream is not None and stream.snapshot
        is_prefetched = stream is not None and not 0 < stream.message_users < _PREFETCH_FROM_USERS
        with (
            self._database.session(
                deadline_seconds=remaining,
                snapshot=snapshot,
                caller=caller_of(context),
                after=position.read_before if position else None,
            ) as session,
            self._interrupter.watching(context, session),
        ):
            observed = self._observe(session) if self._observe else session
            users = Users(observed, self._sizes, self._readers if is_prefetched else None)
            if stream is not None:
                key_order.check_keys(users, stream)
            yield users

    def _messages(
        self,
        plan: validation.StreamPlan,
        response: type[pb.StreamUsersResponse | pb.BatchUsersResponse],
        users: Users,
    ) -> StreamMessages:
        # Users are counted from the start of the scan, so the whole of it is what they are a share of.
        whole = replace(plan.scan, after=plan.keys.after, limit=plan.limit or None)
        progress = self._progress(users, whole, plan.position)
        return StreamMessages(plan, response, users.table, progress, _freshness_of(users))

    def _progress(self, users: Users, whole: Scan, position: Position) -> ScanProgress:
        return ScanProgress(partial(self._key_maps.get, users.table), whole, position)


def _freshness_of(users: Users) -> Callable[[], Freshness | None] | None:
    """Return what says how new the data is; None with one database host, so that nothing is asked at each message."""
    return None if users.freshness is None else lambda: users.freshness
