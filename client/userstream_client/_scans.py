"""What both clients ask for: requests, and how the answers move a scan on. No I/O here."""

import grpc
from userstream.v1 import user_service_pb2 as pb

from userstream_client import _messages as messages
from userstream_client._retry import QUIET
from userstream_client._verifier import Verifier
from userstream_client.errors import DeadlineExceededError, IncompleteStreamError, UserStreamError
from userstream_client.models import (
    AverageAgeProgress,
    Checkpoint,
    Consistency,
    Page,
    Progress,
    User,
    UserFilter,
)

__all__ = [
    "AgesScan",
    "PageScan",
    "UserScan",
    "average_age_request",
    "batch_users_scan",
    "partitions_request",
    "quiet_error",
    "stream_users_scan",
]

ScanRequest = pb.StreamUsersRequest | pb.BatchUsersRequest
ScanResponse = pb.StreamUsersResponse | pb.BatchUsersResponse


def quiet_error(limit_seconds: float) -> UserStreamError:
    """Return the error of an attempt that brought no message for too long."""
    return DeadlineExceededError(
        f"nothing came for {limit_seconds:g} seconds",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
        reason=QUIET,
    )


def stream_users_scan(
    where: UserFilter | None,
    *,
    limit: int,
    partition: str,
    consistency: Consistency,
    max_users_per_message: int,
    resume_token: str | Checkpoint,
) -> "UserScan":
    """Return the scan of a StreamUsers call; see `UserStreamClient.stream_users`."""
    request = pb.StreamUsersRequest(
        filter=messages.filter_to(where),
        limit=limit,
        partition=partition,
        max_users_per_message=max_users_per_message,
    )
    return UserScan(request, messages.checkpoint_of(resume_token), consistency)


def batch_users_scan(
    batch_size: int,
    where: UserFilter | None,
    *,
    limit: int,
    partition: str,
    consistency: Consistency,
    resume_token: str | Checkpoint,
) -> "UserScan":
    """Return the scan of a BatchUsers call; see `UserStreamClient.batch_users`."""
    request = pb.BatchUsersRequest(
        batch_size=batch_size, filter=messages.filter_to(where), limit=limit, partition=partition
    )
    return UserScan(request, messages.checkpoint_of(resume_token), consistency)


def average_age_request(
    where: UserFilter | None, *, include_histogram: bool
) -> pb.AverageAgeRequest:
    """Return an AverageAge request."""
    return pb.AverageAgeRequest(
        filter=messages.filter_to(where), include_histogram=include_histogram
    )


def partitions_request(partition_count: int, where: UserFilter | None) -> pb.PartitionUsersRequest:
    """Return a PartitionUsers request."""
    return pb.PartitionUsersRequest(
        filter=messages.filter_to(where), partition_count=partition_count
    )


class UserScan:
    """StreamUsers or BatchUsers: one request, sent again with the last token after a failure.

    Args:
        request: Without its token.
        start: Where to begin.
        consistency: What was asked for.
    """

    def __init__(self, request: ScanRequest, start: Checkpoint, consistency: Consistency) -> None:
        self.verifier = Verifier(start, limit=max(request.limit, 0), consistency=consistency)
        self.handed_out = start
        request.consistency = messages.consistency_to(consistency)
        self._request = request

    @property
    def done(self) -> bool:
        """Whether no call is needed."""
        return self.verifier.complete

    def next_request(self) -> ScanRequest:
        """Return the request for the next attempt."""
        self._request.resume_token = self.verifier.resume_token
        return self._request

    def take(self, response: ScanResponse) -> list[User]:
        """Take a message, and return its users once they are verified."""
        users = messages.users_from(response.users)
        progress = messages.progress_from(response.progress)
        bytewise = response.key_order == pb.KEY_ORDER_UNSPECIFIED
        self.verifier.add(users, response.resume_token, progress, bytewise=bytewise)
        if response.HasField("receipt"):
            self.verifier.close(messages.receipt_from(response.receipt))
        return users

    def failed(self) -> None:
        """Note that an attempt failed and another follows."""
        self.verifier.resumed()

    def end(self) -> None:
        """Note that the stream ended OK; see `Verifier.end`."""
        self.verifier.end()

    def settle(self) -> None:
        """Note that nothing is left to ask for; see `Verifier.settle`."""
        self.verifier.settle()


class AgesScan:
    """StreamAverageAge: running figures until the final ones."""

    def __init__(self, where: UserFilter | None, resume_token: str) -> None:
        """Begin at a token, or at the start where it is empty."""
        self._request = pb.StreamAverageAgeRequest(
            filter=messages.filter_to(where), resume_token=resume_token
        )
        self.done = False

    def next_request(self) -> pb.StreamAverageAgeRequest:
        """Return the request for the next attempt."""
        return self._request

    def take(self, response: pb.StreamAverageAgeResponse) -> AverageAgeProgress:
        """Take a message."""
        self._request.resume_token = response.resume_token or self._request.resume_token
        self.done = response.final
        return messages.average_age_progress_from(response)

    def failed(self) -> None:
        """Nothing to note: the token has all."""

    def end(self) -> None:
        """Note that the stream ended OK.

        Raises:
            IncompleteStreamError: The final figures never came.
        """
        if not self.done:
            raise IncompleteStreamError("the stream ended without its final figures")

    def settle(self) -> None:
        """Nothing to do: the final figures are there."""


class PageScan:
    """Paginate, one page a call, so that nothing is read before it is asked for."""

    def __init__(
        self, where: UserFilter | None, *, page_size: int, page_token: str, offset: int
    ) -> None:
        """Begin at a token, at an offset, or at the start."""
        self._request = pb.PaginateRequest(
            filter=messages.filter_to(where),
            page_size=page_size,
            page_token=page_token,
            offset=offset,
            page_limit=1,
        )
        self._verifier = Verifier(Checkpoint())
        self.last = False
        self.done = False

    def next_request(self) -> pb.PaginateRequest:
        """Return the request for the next page, or for the same one again."""
        return self._request

    def begin(self) -> None:
        """Turn to the next page."""
        self.done = False

    def take(self, response: pb.PaginateResponse) -> Page:
        """Take a page; its users must come after those of the page before."""
        if self.done:
            raise IncompleteStreamError("the server sent another page than the one asked for")
        page = messages.page_from(response)
        bytewise = response.key_order == pb.KEY_ORDER_UNSPECIFIED
        no_progress = Progress(0, 0, 0.0)
        self._verifier.add(page.users, page.next_page_token, no_progress, bytewise=bytewise)
        self._request.page_token = page.next_page_token
        self._request.offset = 0
        self.done = True
        self.last = not page.next_page_token
        return page

    def failed(self) -> None:
        """Nothing to note: the same page is asked for again."""

    def end(self) -> None:
        """Note that the call ended OK.

        Raises:
            IncompleteStreamError: It brought no page.
        """
        if not self.done:
            raise IncompleteStreamError("the server answered without a page")

    def settle(self) -> None:
        """Nothing to do: the page is there."""
