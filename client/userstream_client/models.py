"""The objects that the client takes and returns: plain, typed, and without gRPC."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "AgeCount",
    "AverageAge",
    "AverageAgeProgress",
    "Checkpoint",
    "Consistency",
    "Freshness",
    "Health",
    "HealthStatus",
    "Page",
    "Partition",
    "Progress",
    "Receipt",
    "TlsOptions",
    "User",
    "UserFilter",
    "UserLookup",
]


class User(NamedTuple):
    """One row of `user_data`; a tuple, because a million of them are made in a second or two.

    Attributes:
        user_id: The primary key, a UUID as text.
        name: The full name.
        email: The e-mail address.
        age: Whole years.
    """

    user_id: str
    name: str
    email: str
    age: int


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How to verify the server, and how this client identifies itself.

    Attributes:
        ca: PEM file with the authorities that may vouch for the server; None for the system's.
        client_cert: PEM file with this client's certificate chain (mutual TLS).
        client_key: PEM file with its key.
        server_name: The name in the server's certificate, where it differs from the target's.
    """

    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to read; a user must meet every condition that is set.

    Attributes:
        age_over: Strictly older than this many years; None for no lower bound.
        age_up_to: At most this many years; None for no upper bound.
        name_prefix: The name begins with exactly this text; empty for any.
        email_domain: The e-mail address ends in "@" and this domain; empty for any.
    """

    age_over: int | None = None
    age_up_to: int | None = None
    name_prefix: str = ""
    email_domain: str = ""


class Consistency(StrEnum):
    """What a stream promises about rows that are written while it runs."""

    LIVE = "live"
    """Every row that exists during the whole scan comes exactly once; rows written meanwhile may or may not."""
    SNAPSHOT = "snapshot"
    """One read view for the stream; a resume begins a new one, and the receipt counts the resumes."""


class Freshness(StrEnum):
    """Whether a scan that several database hosts were read for ever went back in time."""

    UNSPECIFIED = "unspecified"
    """Nothing was compared: the server reads one database host, or no receipt said anything."""
    KEPT = "kept"
    """Each host that was read had all changes that the scan had seen before."""
    UNKNOWN = "unknown"
    """The scan went on at a host that could not be compared, so a part may be older than those before it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is, counted from its very start.

    Attributes:
        users_sent: Users so far.
        estimated_users: About how many users the whole scan will have; refined on the way, 0 while unknown.
        fraction: From 0 to 1; never falls, and is 1 only at the end.
    """

    users_sent: int
    estimated_users: int
    fraction: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """The server's proof of a whole scan, already compared with what was received and requested.

    Attributes:
        user_count: Users sent, from the very start of the scan and across reconnects.
        user_id_crc32: zlib's CRC-32 over their user_ids, in order.
        consistency: What the stream kept; always what was requested.
        resumed_count: How often the scan was resumed from a token. With SNAPSHOT, each resume began
            a new read view.
        freshness: Whether the scan, where the server reads several database hosts, ever went back in
            time. UNKNOWN is no error: the users are those of the receipt, but a row that another host
            did not have yet may be missing.
    """

    user_count: int
    user_id_crc32: int
    consistency: Consistency
    resumed_count: int
    freshness: Freshness = Freshness.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where to resume a stream, also in another process, with all users still verified.

    Attributes:
        resume_token: The server's token.
        user_count: Users before it; None when unknown, as for a bare token.
        user_id_crc32: zlib's CRC-32 over their user_ids; None when unknown.
        last_user_id: The last of them; empty when unknown.
    """

    resume_token: str = ""
    user_count: int | None = None
    user_id_crc32: int | None = None
    last_user_id: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of users.

    Attributes:
        users: In ascending order of user_id.
        page_number: From 1, across page tokens.
        next_page_token: Requests the next page; empty at the end.
    """

    users: list[User]
    page_number: int
    next_page_token: str


@dataclass(frozen=True, slots=True)
class UserLookup:
    """Users that were looked up by their ids.

    Attributes:
        users: Those that exist, in the order of the ids.
        missing_user_ids: The ids that no user has, in the same order.
    """

    users: list[User]
    missing_user_ids: list[str]


@dataclass(frozen=True, slots=True)
class Partition:
    """One key range of the table.

    Attributes:
        partition: Its opaque name, for `partition=` of the streams.
        estimated_users: About how many matching users it holds.
    """

    partition: str
    estimated_users: int


@dataclass(frozen=True, slots=True)
class AgeCount:
    """How many users have one age, in whole years."""

    age: int
    user_count: int


@dataclass(frozen=True, slots=True)
class AverageAge:
    """An exact average age, as its two integers.

    Attributes:
        user_count: Matching users.
        age_sum: The sum of their ages, in years.
        histogram: How many there are of each age, ascending; empty unless asked for.
    """

    user_count: int
    age_sum: int
    histogram: tuple[AgeCount, ...] = ()

    @property
    def average(self) -> float | None:
        """The average in years; None without users."""
        return self.age_sum / self.user_count if self.user_count else None

    @property
    def text(self) -> str | None:
        """The average in years to two decimals, halves rounded away from zero; None without users.

        Computed from the integers, because a double may lie on the wrong side of a half.
        """
        if not self.user_count:
            return None
        hundredths = (200 * abs(self.age_sum) + self.user_count) // (2 * self.user_count)
        sign = "-" if self.age_sum < 0 and hundredths else ""
        return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"


@dataclass(frozen=True, slots=True)
class AverageAgeProgress(AverageAge):
    """Running figures of a long scan.

    Attributes:
        progress: How far the scan is.
        resume_token: Resumes after these figures.
        final: Whether they cover every matching user.
    """

    progress: Progress = Progress(0, 0, 0.0)
    resume_token: str = ""
    final: bool = False


class HealthStatus(Enum):
    """The statuses of grpc.health.v1."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a server is ready.

    Attributes:
        server: The server as a whole.
        service: Its userstream.v1.UserService.
    """

    server: HealthStatus
    service: HealthStatus

    @property
    def serving(self) -> bool:
        """Whether both say SERVING."""
        return self.server is self.service is HealthStatus.SERVING
