"""What to read: filter, key range, limit and fields of one scan over `user_data`."""

from dataclasses import dataclass, replace

from userstream_server.rows.fields import ALL_FIELDS

__all__ = ["EVERYONE", "Scan", "UserFilter"]


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users; every condition that is set must hold.

    Attributes:
        age_over: Strictly older than this, in years.
        age_up_to: At most this old, in years.
        name_prefix: The name begins with exactly this text; empty for any.
        email_domain: The e-mail address ends in "@" and this domain, in any case; empty for any.
    """

    age_over: int | None = None
    age_up_to: int | None = None
    name_prefix: str = ""
    email_domain: str = ""


EVERYONE = UserFilter()


@dataclass(frozen=True, slots=True)
class Scan:
    """One pass in ascending order of user_id.

    Attributes:
        filter: Which users.
        after: Begin behind this user_id; None for the start.
        up_to: End with this user_id (inclusive); None for the end.
        limit: The most users to read; None for all.
        fields: What to read of each user, in the order of `ALL_FIELDS`.
    """

    filter: UserFilter = EVERYONE
    after: str | None = None
    up_to: str | None = None
    limit: int | None = None
    fields: tuple[str, ...] = ALL_FIELDS

    def beginning_after(self, user_id: str) -> "Scan":
        """Return the same scan from another key on."""
        return replace(self, after=user_id)
