"""What a scenario is: the calls that a client must make, what each is answered, and how it must end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from userstream.v1 import user_service_pb2 as pb

from userstream_conformance.steps import Step, made_users, messages_of

__all__ = ["IDS", "USERS", "Attempt", "ClientSettings", "Outcome", "Scenario", "sent"]

USERS = made_users(7)
IDS = tuple(user.user_id for user in USERS)


@dataclass(frozen=True)
class Attempt:
    """A call that a client must make, and its answer.

    Attributes:
        token: The `resume_token` or `page_token` that it must carry.
        steps: Its answer; without a Fail or Hang at the end it ends OK.
        after_seconds: How long the client must have waited since the call before ended.
        optional: Whether a client may also stop before this call.
    """

    token: str
    steps: Sequence[Step]
    after_seconds: float = 0.0
    optional: bool = False


@dataclass(frozen=True)
class ClientSettings:
    """How a client must be set up for a scenario.

    Attributes:
        attempt_timeout_seconds: The longest wait for a message; 0 for the client's own.
        timeout_seconds: The limit of the whole call; 0 for none.
        cancel_after_messages: Cancel after so many messages; 0 for never.
    """

    attempt_timeout_seconds: float = 0.0
    timeout_seconds: float = 0.0
    cancel_after_messages: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a client must report.

    Attributes:
        result: `complete`, `status` (it failed with a gRPC status), `integrity` (the client found that
            the answer is not what the service promises) or `cancelled` (by the client itself).
        user_ids: Those that are whole: all of a complete stream, else the most that may be delivered.
        code: The gRPC status of `status`.
        reason: The reason in its ErrorInfo; empty for none.
        field_violations: Those of its BadRequest, with their descriptions.
        age_sum: The sum of ages, in years, of a complete average.
        user_count: The number of users of a complete average.
    """

    result: str
    user_ids: Sequence[str] = ()
    code: str = ""
    reason: str = ""
    field_violations: dict[str, str] = field(default_factory=dict)
    age_sum: int | None = None
    user_count: int | None = None

    @property
    def user_id_crc32(self) -> int:
        """The CRC-32 (zlib's) over the user_ids."""
        return crc32("".join(self.user_ids).encode())


WHOLE = Outcome("complete", IDS)


@dataclass(frozen=True)
class Scenario:
    """A script, and what a client must do with it.

    Attributes:
        name: Chosen by a request with `filter.name_prefix` = `conformance:NAME`.
        rule: What the client must do, in one sentence.
        attempts: The calls that it must make, in this order.
        outcome: What it must report.
        method: The RPC.
        fields: Of the request, beside the filter.
        client: How the client must be set up.
        calls_most: The most calls, where the last attempt is repeated; 0 for one of each.
    """

    name: str
    rule: str
    attempts: Sequence[Attempt]
    outcome: Outcome = WHOLE
    method: str = "StreamUsers"
    fields: dict[str, Any] = field(default_factory=dict)
    client: ClientSettings = ClientSettings()
    calls_most: int = 0

    @property
    def request(self) -> Any:
        """The first request."""
        where = pb.UserFilter(name_prefix=f"conformance:{self.name}")
        return getattr(pb, f"{self.method}Request")(filter=where, **self.fields)

    @property
    def most(self) -> int:
        """The most calls."""
        return self.calls_most or len(self.attempts)

    @property
    def least(self) -> int:
        """The fewest calls."""
        return sum(not attempt.optional for attempt in self.attempts)


def sent(
    count: int | None = None, *, after: int = 0, resumed: int = 0, **options: Any
) -> list[Any]:
    """Return the first messages of the stream of USERS; all of them for None.

    Args:
        count: How many messages.
        after: The stream begins after so many users.
        resumed: How often it was resumed by then.
        options: Of `messages_of`.
    """
    return messages_of(USERS, after=after, resumed_count=resumed, **options)[:count]
