"""What is known of one database host: may it be read, as what, and how far it is behind."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["HostState", "ReadFrom", "Role"]


class Role(Enum):
    """What a host is among those of the same data."""

    PRIMARY = "primary"
    """It takes writes, or nothing says that it copies another host."""
    REPLICA = "replica"


class ReadFrom(Enum):
    """Which hosts calls read from."""

    ANY = "any"
    REPLICAS = "replicas"
    PRIMARY = "primary"

    def takes(self, role: Role) -> bool:
        """Say whether hosts of a role are read."""
        return self is ReadFrom.ANY or (self is ReadFrom.PRIMARY) == (role is Role.PRIMARY)


@dataclass(frozen=True, slots=True)
class HostState:
    """One host as its last check found it.

    Attributes:
        readable: Whether calls may read from it.
        text: What it is, or why it is left out, in words for an operator.
        role: What it is among the hosts.
        lag_seconds: How far it is behind its source; None where that is not known or does not apply.
        is_cut_off: Whether it is a replica that has no connection to its source now.
        is_unwanted: Whether it is left out only because of USERSTREAM_READ_FROM.
        hint: What the account cannot see, and the grant that helps; empty if nothing is missing.
        name: `host:port`, as the URL has it.
    """

    readable: bool
    text: str
    role: Role = Role.PRIMARY
    lag_seconds: float | None = None
    is_cut_off: bool = False
    is_unwanted: bool = False
    hint: str = ""
    name: str = ""

    @property
    def is_good(self) -> bool:
        """Whether a call that reads from it may continue."""
        return self.readable or self.is_unwanted
