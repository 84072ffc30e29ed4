"""The state of a streaming call: its next request, and what its messages mean. No I/O here."""

from collections.abc import Callable, Iterable
from typing import Any

from userstream.v1 import user_service_pb2 as pb

from userstream_client import _messages as messages
from userstream_client._decoding import Received, UserList, decode_users, parse
from userstream_client._fields import columns_of, mask_of
from userstream_client._verifier import Verifier
from userstream_client.errors import FieldViolation, IncompleteStreamError, InvalidRequestError
from userstream_client.models import (
    AverageAgeProgress,
    Checkpoint,
    Consistency,
    Page,
    Progress,
    Receipt,
    UserFilter,
)

__all__ = ["AgesScan", "PageScan", "ScanProperties", "UserScan"]

ScanRequest = pb.StreamUsersRequest | pb.BatchUsersRequest


class UserScan:
    """StreamUsers or BatchUsers: one request, sent again with the last token after a failure.

    Args:
        method: `StreamUsers` or `BatchUsers`.
        request: Without its token and consistency.
        start: Where to begin.
        consistency: What to promise about concurrent writes.

    Attributes:
        method: The RPC.
        columns: The fields of a user that come, in the order of `User`.
        verifier: What was received so far.
        delivered: Where to resume so that the caller misses no user: after the last message whose users
            were all taken.

    Raises:
        ValueError: `consistency` is none.
    """

    def __init__(
        self, method: str, request: ScanRequest, start: Checkpoint, consistency: Consistency
    ) -> None:
        # Callers without a type checker may pass the word.
        consistency = Consistency(consistency)
        self.method = method
        self.columns = columns_of(request.read_mask)
        self.verifier = Verifier(start, limit=max(request.limit, 0), consistency=consistency)
        self.delivered = start
        self._request = request
        self._request.consistency = messages.consistency_to(consistency)
        self._decode: Callable[[bytes, str], tuple[Received, Any]] = decode_users

    @property
    def done(self) -> bool:
        """Whether no call is needed."""
        return self.verifier.complete

    def next_request(self) -> ScanRequest:
        """Return the request for the next attempt."""
        self.verifier.begin_attempt()
        self._request.resume_token = self.verifier.resume_token
        return self._request

    def decode_with(self, decode: Callable[[bytes, str], tuple[Received, Any]]) -> None:
        """Return the users of further messages in another form."""
        self._decode = decode

    def receive(self, data: bytes) -> Any:
        """Return a message's users, once they are verified.

        Returns:
            A list of `User`, or what `decode_with` was told.

        Raises:
            DataIntegrityError: The message is not what the server promises.
        """
        received, response = self._decode(data, self.method)
        progress = messages.progress_from(response.progress)
        bytewise = response.key_order == pb.KEY_ORDER_UNSPECIFIED
        self.verifier.add(received, response.resume_token, progress, bytewise=bytewise)
        if response.HasField("receipt"):
            self.verifier.close(messages.receipt_from(response.receipt))
        return received.users

    def end(self) -> None:
        """Note that the stream ended OK.

        Raises:
            IncompleteStreamError: It had no receipt.
        """
        self.verifier.end()

    def finish(self) -> None:
        """Note that no call follows; write the receipt where the server's was lost."""
        self.verifier.finish()


class ScanProperties:
    """What the streams of both clients tell about their scan."""

    def __init__(self, scan: UserScan) -> None:
        self._scan = scan

    @property
    def progress(self) -> Progress | None:
        """How far the scan is, after the last message; None before the first."""
        return self._scan.verifier.progress

    @property
    def receipt(self) -> Receipt | None:
        """The verified receipt, once the stream is read to its end."""
        return self._scan.verifier.receipt

    @property
    def resumed_count(self) -> int:
        """How often the scan was resumed so far; the receipt also counts resumes before a bare token."""
        return self._scan.verifier.resumed_count

    @property
    def checkpoint(self) -> Checkpoint:
        """Where to resume, as `resume_token=` of the same call, so that no user is missed.

        It moves message by message, when a message's last user has been taken. After a resume from the
        middle of a message, all users of that message come again.
        """
        return self._scan.delivered

    @property
    def resume_token(self) -> str:
        """The bare token of `checkpoint`."""
        return self._scan.delivered.resume_token


class AgesScan:
    """StreamAverageAge: running figures until the final ones.

    Args:
        where: Which users; None for all.
        resume_token: Where to begin; empty for the start.
    """

    def __init__(self, where: UserFilter | None, resume_token: str) -> None:
        self.method = "StreamAverageAge"
        self.done = False
        self._request = pb.StreamAverageAgeRequest(
            filter=messages.filter_to(where), resume_token=resume_token
        )

    def next_request(self) -> pb.StreamAverageAgeRequest:
        """Return the request for the next attempt."""
        return self._request

    def receive(self, data: bytes) -> AverageAgeProgress:
        """Return the figures of a message.

        Raises:
            DataIntegrityError: The bytes are no such message.
        """
        response = parse(data, self.method)
        self._request.resume_token = response.resume_token or self._request.resume_token
        self.done = response.final
        return messages.average_age_progress_from(response)

    def end(self) -> None:
        """Note that the stream ended OK.

        Raises:
            IncompleteStreamError: The final figures never came.
        """
        if not self.done:
            raise IncompleteStreamError("the stream ended without its final figures")

    def finish(self) -> None:
        """Do nothing: the final figures were received."""


class PageScan:
    """Paginate, one page a call, so that nothing is read before it is asked for.

    Args:
        where: Which users; None for all.
        page_size: Users a page; 0 for the server's default.
        page_token: Where to begin; empty for the start or the offset.
        offset: Users to skip first.
        page_limit: The most pages; 0 for all.
        fields: What to read of each user; empty for all fields.

    Raises:
        InvalidRequestError: `page_limit` is negative.
    """

    def __init__(
        self,
        where: UserFilter | None,
        page_size: int,
        page_token: str,
        *,
        offset: int,
        page_limit: int,
        fields: Iterable[str] | str = (),
    ) -> None:
        if page_limit < 0:
            violation = FieldViolation("page_limit", "takes 0 for all pages, or more")
            raise InvalidRequestError(
                f"{violation.field}: {violation.description}", field_violations=(violation,)
            )
        self.method = "Paginate"
        self.done = False
        self._request = pb.PaginateRequest(
            filter=messages.filter_to(where),
            page_size=page_size,
            page_token=page_token,
            offset=offset,
            page_limit=1,
            read_mask=mask_of(fields),
        )
        self._verifier = Verifier(Checkpoint())
        self._page_limit = page_limit
        self._page_count = 0
        self._last = False

    def begin_page(self) -> bool:
        """Turn to the next page; False when there is none, or the limit is reached."""
        if self._last or 0 < self._page_limit == self._page_count:
            return False
        self.done = False
        self._page_count += 1
        return True

    def next_request(self) -> pb.PaginateRequest:
        """Return the request for this page."""
        return self._request

    def receive(self, data: bytes) -> Page:
        """Return the page, once it is verified.

        Raises:
            OutOfOrderError: Its users do not ascend from those of the page before.
            IncompleteStreamError: The page was received already.
        """
        if self.done:
            raise IncompleteStreamError("the server sent another page than the one asked for")
        response = parse(data, self.method)
        bytewise = response.key_order == pb.KEY_ORDER_UNSPECIFIED
        page = messages.page_from(response)
        users, no_progress = UserList.of(page.users), Progress(0, 0, 0.0)
        self._verifier.add(users, page.next_page_token, no_progress, bytewise=bytewise)
        self._request.page_token = page.next_page_token
        self._request.offset = 0
        self.done = True
        self._last = not page.next_page_token
        return page

    def end(self) -> None:
        """Note that the call ended OK.

        Raises:
            IncompleteStreamError: It brought no page.
        """
        if not self.done:
            raise IncompleteStreamError("the server answered without a page")

    def finish(self) -> None:
        """Do nothing: the page was received."""
