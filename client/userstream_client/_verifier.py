"""Compares what a scan received with what was requested and with the server's receipt."""

from zlib import crc32

from userstream_client._decoding import Received
from userstream_client.errors import (
    DataIntegrityError,
    IncompleteStreamError,
    OutOfOrderError,
    ReceiptMismatchError,
)
from userstream_client.models import Checkpoint, Consistency, Progress, Receipt

__all__ = ["Verifier"]


class Verifier:
    """Verifies one scan across all its attempts.

    Args:
        start: Where the scan begins.
        limit: The most users in the whole scan; 0 for all.
        consistency: What was requested.

    Attributes:
        progress: The last message's; None before the first.
        receipt: The verified receipt; None before the end.
    """

    def __init__(
        self, start: Checkpoint, *, limit: int = 0, consistency: Consistency = Consistency.LIVE
    ) -> None:
        self.progress: Progress | None = None
        self.receipt: Receipt | None = None
        self._limit = limit
        self._consistency = consistency
        self._token = start.resume_token
        # Before a scan's start there are no users. Before a bare token there are, but they are unknown.
        fresh = not start.resume_token
        self._count = 0 if fresh else start.user_count
        self._crc = 0 if fresh else start.user_id_crc32
        self._last = start.last_user_id
        # Resumes that the server must have counted: a lower bound, as a first token may hold more.
        self._resumes = 0
        self._resumes_of_attempt = 0

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the scan stands after the last message."""
        return Checkpoint(self._token, self._count, self._crc, self._last)

    @property
    def resume_token(self) -> str:
        """Where the next attempt begins; empty for the start."""
        return self._token

    @property
    def complete(self) -> bool:
        """Whether no call is needed: the receipt is there, or the limit is reached."""
        return self.receipt is not None or (self._limit > 0 and self._count == self._limit)

    @property
    def resumed_count(self) -> int:
        """How often a message came after a resume, at least."""
        return self._resumes

    def begin_attempt(self) -> None:
        """Note that an attempt begins at `resume_token`.

        The server's tokens count resumes, so an attempt that brings no message does not count.
        """
        self._resumes_of_attempt = self._resumes + 1 if self._token else 0

    def add(
        self, users: Received, token: str, progress: Progress, *, bytewise: bool = True
    ) -> None:
        """Verify and count one message's users.

        Args:
            users: In the order received.
            token: Resumes after the last of them.
            progress: Of the scan, with these users.
            bytewise: Whether the server says that ids ascend byte by byte. Only the database knows any
                other order.

        Raises:
            OutOfOrderError: Their user_ids do not ascend from the last one, or one of them comes twice.
            DataIntegrityError: They exceed the limit, or follow the receipt.
        """
        if self.receipt is not None:
            raise DataIntegrityError("the server sent more after its receipt")
        if self._count is None:
            self._count = progress.users_sent - len(users)
        if len(users):
            self._add_users(users, bytewise=bytewise)
        self._resumes = self._resumes_of_attempt
        self._token = token or self._token
        self.progress = progress

    def _add_users(self, users: Received, *, bytewise: bool) -> None:
        # Code points compare as UTF-8 bytes do.
        if bytewise and (users.first_id <= self._last or not users.ascending):
            raise OutOfOrderError("the server sent a user out of order, or twice")
        if not bytewise and (users.first_id == self._last or not users.distinct):
            raise OutOfOrderError("the server sent a user twice")
        self._last = users.last_id
        self._count = (self._count or 0) + len(users)
        if self._crc is not None:
            self._crc = crc32(users.user_ids, self._crc)
        if 0 < self._limit < self._count:
            raise DataIntegrityError("the server sent more users than the limit")

    def close(self, receipt: Receipt) -> None:
        """Verify and keep the receipt.

        Raises:
            ReceiptMismatchError: It differs from what was received or requested.
        """
        if difference := self._difference_from(receipt):
            raise ReceiptMismatchError(difference)
        self.receipt = receipt

    def _difference_from(self, receipt: Receipt) -> str:
        """Return what is wrong with a receipt and what to do; empty for nothing."""
        if self._count != receipt.user_count:
            return f"{self._count} users arrived, but the receipt says {receipt.user_count}: read again"
        if self._crc is not None and self._crc != receipt.user_id_crc32:
            return (
                "the users that arrived are not those of the receipt (CRC-32 differs): read again"
            )
        if receipt.consistency is not self._consistency:
            return (
                f"the call requested {self._consistency} consistency, but the receipt says"
                f" {receipt.consistency}: read again, and check the server's version"
            )
        if receipt.resumed_count < self._resumes:
            return (
                f"the scan was resumed at least {self._resumes} times, but the receipt says"
                f" {receipt.resumed_count}: read again, and check the server's version"
            )
        return ""

    def end(self) -> None:
        """Note that the stream ended OK.

        Raises:
            IncompleteStreamError: It had no receipt.
        """
        if self.receipt is None:
            raise IncompleteStreamError(
                "the stream ended without its receipt: users may be missing"
            )

    def finish(self) -> None:
        """Write the receipt of a scan that reached its limit, where the server's was lost.

        Another call would bring no user, so none is made: count and CRC-32 are the client's own.
        """
        if self.receipt is None:
            self.receipt = Receipt(
                self._count or 0, self._crc or 0, self._consistency, self._resumes
            )
