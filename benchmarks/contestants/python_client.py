"""The consumer in Python, for machines without Go: the options and the output of go/client, but slower."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zlib import crc32

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from userstream.v1 import user_service_pb2 as pb
from userstream.v1 import user_service_pb2_grpc

__all__ = ["main"]

_STREAMS_PER_CONNECTION = 100
_OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
Open = Callable[[], Any]


def main() -> None:
    """Make the calls and print what they saw."""
    options = _options()
    if options.stalled:
        _stall(options)
        return
    with ThreadPoolExecutor(options.parallel) as threads:
        begin = time.perf_counter()
        calls = [c for many in threads.map(_calls, [options] * options.parallel) for c in many]
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "calls": calls}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-target", required=True)
    parser.add_argument("-method", default="stream")
    for name, default in (
        ("users-per-message", 0),
        ("limit", 0),
        ("parallel", 1),
        ("repeat", 1),
        ("stalled", 0),
    ):
        parser.add_argument(f"-{name}", type=int, default=default)
    for name in ("fields", "compression"):
        parser.add_argument(f"-{name}", default="")
    parser.add_argument("-first-only", action="store_true")
    parser.add_argument("-check", action="store_true")
    return parser.parse_args()


def _connect(options: argparse.Namespace) -> Open:
    """Open a connection and return how to start a call on it."""
    mask = FieldMask(paths=filter(None, options.fields.split(",")))
    wish = options.compression
    metadata = (("x-userstream-compression", wish),) if wish else ()
    channel = grpc.insecure_channel(options.target, options=_OPTIONS)
    grpc.channel_ready_future(channel).result()
    stub = user_service_pb2_grpc.UserServiceStub(channel)
    if options.method == "batch":
        batch = pb.BatchUsersRequest(
            batch_size=options.users_per_message,
            limit=options.limit,
            filter=pb.UserFilter(age_over=-1),
            read_mask=mask,
        )
        return lambda: stub.BatchUsers(batch, metadata=metadata)
    stream = pb.StreamUsersRequest(
        max_users_per_message=options.users_per_message, limit=options.limit, read_mask=mask
    )
    return lambda: stub.StreamUsers(stream, metadata=metadata)


def _calls(options: argparse.Namespace) -> list[dict[str, Any]]:
    start = _connect(options)
    return [_call(start, options) for _ in range(options.repeat)]


def _call(start: Open, options: argparse.Namespace) -> dict[str, Any]:
    begin = time.perf_counter()
    users = messages = crc = 0
    first_seconds, receipt = 0.0, "none"
    stream = start()
    for message in stream:
        first_seconds = first_seconds or time.perf_counter() - begin
        messages += 1
        users += len(message.users)
        if options.first_only:
            stream.cancel()
            break
        if options.check:
            crc = crc32(b"".join(_keys(message)), crc)
            if message.HasField("receipt"):
                told = (message.receipt.user_count, message.receipt.user_id_crc32)
                receipt = "right" if told == (users, crc) else "wrong"
    return {
        "users": users,
        "messages": messages,
        "first_seconds": first_seconds,
        "seconds": time.perf_counter() - begin,
        "crc32": crc,
        "receipt": receipt,
    }


def _keys(message: Any) -> Iterator[bytes]:
    for user in message.users:
        yield user.user_id.encode("ascii")


def _stall(options: argparse.Namespace) -> None:
    """Open streams, read one message of each, and hold them until stdin ends."""
    streams = []
    for number in range(options.stalled):
        if number % _STREAMS_PER_CONNECTION == 0:
            start = _connect(options)
        stream = start()
        next(stream)
        streams.append(stream)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
