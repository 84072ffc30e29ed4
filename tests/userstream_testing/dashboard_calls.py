"""Calls of every kind, for whoever wants each metric to move."""

from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb

from userstream_testing.calls import rich_error, stub_for

__all__ = ["CALLS"]


def _stream(target: str) -> None:
    with stub_for(target) as stub:
        list(stub.StreamUsers(pb.StreamUsersRequest()))


def _resumed_stream(target: str) -> None:
    with stub_for(target) as stub:
        call = stub.StreamUsers(pb.StreamUsersRequest())
        first = next(call)
        call.cancel()
        list(stub.StreamUsers(pb.StreamUsersRequest(resume_token=first.resume_token)))


def _batches(target: str) -> None:
    with stub_for(target) as stub:
        list(stub.BatchUsers(pb.BatchUsersRequest(batch_size=100)))


def _pages(target: str) -> None:
    with stub_for(target) as stub:
        list(stub.Paginate(pb.PaginateRequest(page_limit=3)))


def _averages(target: str) -> None:
    with stub_for(target) as stub:
        stub.AverageAge(pb.AverageAgeRequest())
        list(stub.StreamAverageAge(pb.StreamAverageAgeRequest()))


def _partitions(target: str) -> None:
    with stub_for(target) as stub:
        stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=2))


def _bad_request(target: str) -> None:
    with stub_for(target) as stub:
        rich_error(stub.StreamUsers(pb.StreamUsersRequest(limit=-1)))


def _health(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())


CALLS: tuple[Callable[[str], None], ...] = (
    _stream,
    _resumed_stream,
    _batches,
    _pages,
    _averages,
    _partitions,
    _bad_request,
    _health,
)
"""Each makes one or two calls to a target."""
