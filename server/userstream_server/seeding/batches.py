"""Storing a batch of users so that nobody is overwritten or left out without being told."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Protocol

from userstream_server.rows.types import UserRow

__all__ = ["BatchOutcome", "Inserted", "Table", "store_batch"]

_TAKEN = "conflict: another user has its e-mail, or another value that the table keeps unique"


@dataclass(slots=True)
class BatchOutcome:
    """What became of a batch.

    Attributes:
        new: Users added.
        unchanged: Users that were stored already, with the same values.
        updated: Users whose stored values were replaced.
        conflicts: The rest: position in the batch, and the reason, which begins with `conflict`.
    """

    new: int = 0
    unchanged: int = 0
    updated: int = 0
    conflicts: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Inserted:
    """What an insert did.

    Attributes:
        new: Users added.
        unclear: Users of which some, maybe all, were not added.
    """

    new: int = 0
    unclear: list[UserRow] = field(default_factory=list)


class Table(Protocol):
    """The table `user_data` inside a transaction."""

    def insert(self, users: Sequence[UserRow]) -> Inserted:
        """Add users with different user_ids, in bulk, leaving out those that a unique key forbids."""

    def known(self, user_ids: Collection[str]) -> dict[str, UserRow]:
        """Return users stored under these keys, maybe not the latest, without a lock; by the keys as spelled here."""

    def stored(self, user_ids: Collection[str]) -> dict[str, UserRow]:
        """Return the users stored under these keys as of now, and keep them so."""

    def update(self, users: Sequence[UserRow]) -> list[UserRow]:
        """Replace the values of stored users; return those that a unique key forbids."""


def store_batch(
    table: Table, users: Sequence[UserRow], *, update: bool, look_first: bool = False
) -> BatchOutcome:
    """Add users, and find out about each that could not be added.

    Args:
        table: The table, in a transaction that the caller commits.
        users: In the order in which they come. One user_id may come several times: the first is added, the others are
            compared with it.
        update: Replace stored values that differ; the last of several rows with one user_id stays. Otherwise such
            rows are conflicts.
        look_first: Most of the users are probably stored already: read them, and insert the others alone.
    """
    new, stored = _insert(table, users, look_first=look_first)
    outcome = BatchOutcome(new)
    if new == len(users):
        return outcome
    # Rows that are surely new are not in `stored`; an unclear one without a stored row has None there.
    different = [
        position for position, user in enumerate(users) if user != stored.get(user.user_id, user)
    ]
    if update and different:
        different = _update(table, users, different, stored, outcome)
    outcome.conflicts = [(p, _reason(users[p], stored[users[p].user_id])) for p in different]
    outcome.unchanged = len(users) - new - outcome.updated - len(different)
    return outcome


def _insert(
    table: Table, users: Sequence[UserRow], *, look_first: bool
) -> tuple[int, dict[str, UserRow | None]]:
    """Add the first user of each user_id.

    Returns:
        How many were added, and what is stored for each that may have been left out or comes again: None where
            another unique key forbids it.
    """
    firsts = {user.user_id: user for user in reversed(users)}
    known = table.known(firsts.keys()) if look_first else {}
    # In key order, neighbours land in the same page of the clustered index.
    absent = [user for user in firsts.values() if user.user_id not in known]
    inserted = table.insert(sorted(absent, key=itemgetter(0)))
    # A bulk insert tells how many were added, not which. All others are looked at.
    unclear = {user.user_id for user in inserted.unclear}
    if len(firsts) < len(users):
        unclear |= _repeated(users)
    unclear -= known.keys()
    stored = table.stored(unclear) if unclear else {}
    return inserted.new, {**known, **{key: stored.get(key) for key in unclear}}


def _repeated(users: Sequence[UserRow]) -> set[str]:
    counts = Counter(user.user_id for user in users)
    return {user_id for user_id, count in counts.items() if count > 1}


def _update(
    table: Table,
    users: Sequence[UserRow],
    different: list[int],
    stored: dict[str, UserRow | None],
    outcome: BatchOutcome,
) -> list[int]:
    """Replace what differs, one row after another as in a file; return the positions of conflicts that remain."""
    now = {key: row for p in different if (row := stored[key := users[p].user_id])}
    updates: Counter[str] = Counter()
    for user in users:
        if user != now.get(user.user_id, user):
            now[user.user_id] = user
            updates[user.user_id] += 1
    refused = table.update(sorted(user for key, user in now.items() if user != stored[key]))
    for user in refused:
        del now[user.user_id], updates[user.user_id]
        stored[user.user_id] = None  # for the reason: another unique key forbids it
    outcome.updated = updates.total()
    return [position for position in different if users[position].user_id not in now]


def _reason(user: UserRow, stored: UserRow | None) -> str:
    if stored is None:
        return _TAKEN
    names = [n for n in ("name", "email", "age") if getattr(user, n) != getattr(stored, n)]
    return f"conflict: another {' and '.join(names)} is stored for this user_id"
