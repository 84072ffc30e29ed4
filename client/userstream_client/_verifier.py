"""What a scan has delivered, held against what the server promises: order, count and checksum."""

from collections.abc import Sequence
from operator import lt
from zlib import crc32

from userstream_client.errors import (
    DataIntegrityError,
    IncompleteStreamError,
    OutOfOrderError,
    ReceiptMismatchError,
)
from userstream_client.models import Checkpoint, Consistency, Progress, Receipt, User

__all__ = ["Verifier"]


class Verifier:
    """Verifies one scan across all its attempts.

    Args:
        start: Where the scan begins.
        limit: The most users in the whole scan; 0 for all.
        consistency: What was asked for.

    Attributes:
        checkpoint: Where the scan stands after the last message.
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
        # A scan from its very start has sent nothing; behind a bare token it has, but who knows what.
        fresh = not start.resume_token
        self._count = 0 if fresh else start.user_count
        self._crc = 0 if fresh else start.user_id_crc32
        self._last = start.last_user_id
        self._resumed = 0

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the scan stands."""
        return Checkpoint(self._token, self._count, self._crc, self._last)

    @property
    def resume_token(self) -> str:
        """Where the next attempt begins."""
        return self._token

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask for: the receipt is there, or the limit is reached."""
        return self.receipt is not None or (self._limit > 0 and self._count == self._limit)

    def resumed(self) -> None:
        """Note that another attempt is needed."""
        self._resumed += 1

    def add(
        self, users: Sequence[User], token: str, progress: Progress, *, bytewise: bool = True
    ) -> None:
        """Take one message's users.

        Args:
            users: In the order they came.
            token: Goes on after the last of them.
            progress: Of the scan, with these users.
            bytewise: Whether the server says that ids ascend byte by byte. Only the database knows any
                other order.

        Raises:
            OutOfOrderError: They do not ascend from the last one taken, or one of them comes twice.
            DataIntegrityError: They are more than the limit, or come after the receipt.
        """
        if self.receipt is not None:
            raise DataIntegrityError("the server sent more after its receipt")
        if self._count is None:
            self._count = progress.users_sent - len(users)
        if users:
            self._take(users, bytewise=bytewise)
        self._token = token or self._token
        self.progress = progress

    def _take(self, users: Sequence[User], *, bytewise: bool) -> None:
        ids = [user[0] for user in users]
        # Code points compare as UTF-8 bytes do, so this is the key's own order.
        if bytewise and (ids[0] <= self._last or not all(map(lt, ids, ids[1:]))):
            raise OutOfOrderError("the server sent a user out of order, or twice")
        if not bytewise and (ids[0] == self._last or len(set(ids)) < len(ids)):
            raise OutOfOrderError("the server sent a user twice")
        self._last = ids[-1]
        self._count = (self._count or 0) + len(ids)
        if self._crc is not None:
            self._crc = crc32("".join(ids).encode(), self._crc)
        if 0 < self._limit < self._count:
            raise DataIntegrityError("the server sent more users than the limit")

    def close(self, receipt: Receipt) -> None:
        """Take the receipt.

        Raises:
            ReceiptMismatchError: It differs from what arrived.
        """
        if self._count != receipt.user_count:
            raise ReceiptMismatchError(
                f"{self._count} users arrived, but the receipt says {receipt.user_count}: read again"
            )
        if self._crc is not None and self._crc != receipt.user_id_crc32:
            raise ReceiptMismatchError(
                "the users that arrived are not those of the receipt (CRC-32 differs): read again"
            )
        self.receipt = receipt

    def end(self) -> None:
        """Note that the stream ended OK.

        Raises:
            IncompleteStreamError: Its receipt never came.
        """
        if self.receipt is None:
            raise IncompleteStreamError(
                "the stream ended without its receipt: users may be missing"
            )

    def settle(self) -> None:
        """Write the receipt for a scan whose limit was reached, where the server's got lost.

        The server would be asked for nothing, so it is not asked: count and CRC are the client's own.
        """
        if self.receipt is None:
            self.receipt = Receipt(
                self._count or 0, self._crc or 0, self._consistency, self._resumed
            )
