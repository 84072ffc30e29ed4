"""A gRPC service that calls userstream for its own callers: python reports.py [--listen HOST:PORT].

What belongs to the caller is passed on: the deadline, the token, the trace and the end of the call.
"""

import argparse
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import reports_pb2 as reports
import reports_pb2_grpc as reports_grpc
from call_again import CallError
from userstream.v1 import user_service_pb2 as pb
from verify import IntegrityError, Verifier

from client import Client, connect

PASSED_ON = {"authorization", "traceparent", "tracestate", "x-request-id"}
OWN_SECONDS = 0.05
"""Kept of the caller's time, so that it gets this service's answer and not a bare DEADLINE_EXCEEDED."""


NO_DEADLINE_SECONDS = 10 * 365 * 86_400.0
"""gRPC says centuries where the caller set no deadline, and takes no such number for a call of one's own."""

# What a caller may be told as it is. Anything else is a fault between this service and userstream.
CALLERS = {"UNAUTHENTICATED", "PERMISSION_DENIED", "DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE"}


class Reports(reports_grpc.ReportServiceServicer):  # type: ignore[misc]  # made without types
    """The service. All calls share one channel, which takes them side by side."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def AverageAge(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Return the average age of the users over an age."""
        where = pb.UserFilter(age_over=request.age_over)
        with self._client_for(context) as client:
            found = client.average(pb.AverageAgeRequest(filter=where))
        return reports.AverageAgeResponse(
            user_count=found.user_count, average_age=found.average_age
        )

    def UserIds(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        """Stream ids while they arrive. After a break of userstream the caller only waits."""
        wanted = pb.StreamUsersRequest(filter=pb.UserFilter(age_over=request.age_over))
        with self._client_for(context) as client:
            for users in client.users("StreamUsers", wanted, Verifier(wanted)):
                yield reports.UserIdsResponse(user_ids=[user.user_id for user in users])

    @contextmanager
    def _client_for(self, context: grpc.ServicerContext) -> Iterator[Client]:
        """Yield a client for one call, with what belongs to its caller; errors become that call's status."""
        left = context.time_remaining()
        limited = left is not None and left < NO_DEADLINE_SECONDS
        client = Client(
            [(key, str(value)) for key, value in context.invocation_metadata() if key in PASSED_ON],
            timeout_seconds=max(0.001, left - OWN_SECONDS) if limited else None,
            channel=self._channel,
        )
        # The end of the caller's call, for whatever reason, ends those to userstream.
        if not context.add_callback(client.cancel):
            client.cancel()
        try:
            yield client
        except CallError as error:
            code = error.code if error.code in CALLERS else "INTERNAL"
            context.abort(grpc.StatusCode[code], f"userstream: {error.reason or error.code}")
        except IntegrityError as error:
            context.abort(grpc.StatusCode.DATA_LOSS, f"userstream: {error}")
        finally:
            client.close()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Answer questions about users.")
    parser.add_argument("--listen", default="127.0.0.1:50055", metavar="HOST:PORT")
    listen = parser.parse_args().listen
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with connect() as channel:
        server = grpc.server(ThreadPoolExecutor(32))
        reports_grpc.add_ReportServiceServicer_to_server(Reports(channel), server)
        port = server.add_insecure_port(listen)
        server.start()
        print(f"listening on port {port}", flush=True)
        stopped.wait()
        server.stop(grace=5).wait()


if __name__ == "__main__":
    main()
