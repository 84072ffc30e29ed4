"""The contestant as most would write it: grpcio, the driver's cursor, protobuf objects; one query a call.

`--quickest` is the quickest loop that still sends a message a row: the driver's undecoded tuples, read a thousand at a
time. Prints its port.
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1 import user_service_pb2_grpc
from userstream_server.databases.url import DatabaseUrl

from benchmarks.contestants.plain_cursor import users_cursor

__all__ = ["main"]

_FETCH_ROWS = 1000


class PlainService(user_service_pb2_grpc.UserServiceServicer):
    """A message a row, or batches.

    Args:
        url: The database.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        self._url = url

    def StreamUsers(  # noqa: N802 - the proto's name
        self,
        request: pb.StreamUsersRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> Iterator[pb.StreamUsersResponse]:
        """Send each user as it comes."""
        with users_cursor(self._url, request.limit) as cursor:
            for user_id, name, email, age in cursor:
                user = pb.User(user_id=user_id, name=name, email=email, age=int(age))
                yield pb.StreamUsersResponse(users=[user])

    def BatchUsers(  # noqa: N802 - the proto's name
        self,
        request: pb.BatchUsersRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> Iterator[pb.BatchUsersResponse]:
        """Send users batch by batch."""
        with users_cursor(self._url, request.limit) as cursor:
            while rows := cursor.fetchmany(request.batch_size or 1000):
                response = pb.BatchUsersResponse()
                for user_id, name, email, age in rows:
                    response.users.add(user_id=user_id, name=name, email=email, age=int(age))
                yield response


class QuickestService(PlainService):
    """A message a row, as quick as plain grpcio sends one."""

    def StreamUsers(  # noqa: N802 - the proto's name
        self,
        request: pb.StreamUsersRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> Iterator[pb.StreamUsersResponse]:
        """Send each user as it comes."""
        make_user, make_response = pb.User, pb.StreamUsersResponse
        with users_cursor(self._url, request.limit, raw=True) as cursor:
            while rows := cursor.fetchmany(_FETCH_ROWS):
                for user_id, name, email, age in rows:
                    # raw values are bytearrays, and protobuf takes text
                    user = make_user(
                        user_id=user_id.decode(),
                        name=name.decode(),
                        email=email.decode(),
                        age=int(age),
                    )
                    yield make_response(users=(user,))


def main() -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quickest", action="store_true")
    service = QuickestService if parser.parse_args().quickest else PlainService
    url = DatabaseUrl.parse(os.environ["USERSTREAM_DATABASE_URL"])
    server = grpc.server(ThreadPoolExecutor(16))
    # The contest needs no other RPCs.
    servicer = service(url)  # type: ignore[abstract]
    user_service_pb2_grpc.add_UserServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
