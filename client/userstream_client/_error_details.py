"""The details of a failed call: google.rpc messages in its trailing metadata."""

from collections.abc import Iterable

from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

__all__ = ["read_details"]

_KEY = "grpc-status-details-bin"


def read_details(
    trailing_metadata: Iterable[tuple[str, str | bytes]] | None,
) -> tuple[
    error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo | None, error_details_pb2.BadRequest
]:
    """Return ErrorInfo, RetryInfo and BadRequest.

    Where there is none, ErrorInfo and BadRequest are empty and RetryInfo is None.
    """
    # Not dict(trailing_metadata): the asyncio Metadata of older grpcio has pairs for keys.
    packed = next((value for key, value in trailing_metadata or () if key == _KEY), b"")
    info, retry, bad = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.BadRequest(),
    )
    found: list[Message] = []
    status = status_pb2.Status()
    try:
        status.ParseFromString(packed if isinstance(packed, bytes) else b"")
        for detail in status.details:
            found += [known for known in (info, retry, bad) if detail.Unpack(known)]
    except DecodeError:
        # Details are optional, so the status stands without them; a damaged delay is not to be trusted.
        found = [known for known in found if known is not retry]
    return info, retry if retry in found else None, bad
