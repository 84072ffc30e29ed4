"""What to check before a result counts as complete: docs/clients.md as code."""

from typing import Any
from zlib import crc32

from userstream.v1 import user_service_pb2 as pb


class IntegrityError(Exception):
    """The answer is not what the service promises; calling again in silence would hide it."""


class Verifier:
    """Count, CRC-32 and order of a scan, across all its attempts."""

    def __init__(self, request: Any) -> None:
        self._limit = getattr(request, "limit", 0)
        live = pb.CONSISTENCY_LIVE
        self._consistency = getattr(request, "consistency", live) or live
        self.count = 0
        self.crc = 0
        self.receipt: pb.StreamReceipt | None = None
        self._last_id = ""
        self._resumes = 0
        self._resumed_now = False

    @property
    def complete(self) -> bool:
        """Whether another call would bring nothing."""
        return self.receipt is not None or 0 < self._limit == self.count

    def begin_attempt(self, token: str) -> None:
        """Note where an attempt begins; it counts as a resume once it brings a message."""
        self._resumed_now = bool(token)

    def add(self, message: Any) -> None:
        """Check one message and count its users."""
        if self.receipt is not None:
            raise IntegrityError("a message came after the receipt")
        self._resumes += self._resumed_now
        self._resumed_now = False
        ids = [user.user_id for user in message.users]
        self._check_order(ids, message.key_order)
        self.count += len(ids)
        self.crc = crc32("".join(ids).encode(), self.crc)
        if 0 < self._limit < self.count:
            raise IntegrityError("more users came than the limit")

    def _check_order(self, ids: list[str], key_order: int) -> None:
        bytewise = key_order == pb.KEY_ORDER_UNSPECIFIED
        known = {self._last_id}
        for user_id in ids:
            # Strings compare by code point, which is the order of their UTF-8 bytes.
            if user_id in known or (bytewise and user_id <= self._last_id):
                raise IntegrityError("a user came out of order, or twice")
            known.add(user_id)
            self._last_id = user_id

    def close(self, receipt: pb.StreamReceipt) -> None:
        """Compare the receipt with what came."""
        if (receipt.user_count, receipt.user_id_crc32) != (self.count, self.crc):
            raise IntegrityError("the receipt's count or CRC-32 is not that of the users received")
        if receipt.consistency != self._consistency:
            raise IntegrityError("the receipt names another consistency than was requested")
        if receipt.resumed_count < self._resumes:
            raise IntegrityError("the receipt counts fewer resumes than there were")
        self.receipt = receipt

    def end(self) -> None:
        """Note that the stream ended OK."""
        if self.receipt is None:
            raise IntegrityError("the stream ended without its receipt: users may be missing")
