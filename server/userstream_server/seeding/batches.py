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
    firsts = {user.user_id: user for user in reversed(users)}
    stored = table.known(firsts.keys()) if look_first else {}
    # In key order, neighbours land in the same page of the clustered index.
    absent = [user for user in firsts.values() if user.user_id not in stored]
    inserted = table.insert(sorted(absent, key=itemgetter(0)))
    if inserted.new == len(users):
        return BatchOutcome(inserted.new)
    # A bulk insert tells how many were added, not which. All others are looked at.
    unclear = {user.user_id for user in inserted.unclear}
    if len(firsts) < len(users):
        unclear |= _repeated(users)
    stored |= table.stored(unclear - stored.keys())
    unclear |= stored.keys()
    outcome = BatchOutcome(inserted.new)
    different = [
        position
        for position, user in enumerate(users)
        if user.user_id in unclear and user != stored.get(user.user_id)
    ]
    if update and different:
        different = _update(table, users, different, stored, outcome)
    outcome.conflicts = [(p, _reason(users[p], stored.get(users[p].user_id))) for p in different]
    outcome.unchanged = len(users) - outcome.new - outcome.updated - len(different)
    return outcome


def _repeated(users: Sequence[UserRow]) -> set[str]:
    counts = Counter(user.user_id for user in users)
    return {user_id for user_id, count in counts.items() if count > 1}


def _update(
    table: Table,
    users: Sequence[UserRow],
    different: list[int],
    stored: dict[str, UserRow],
    outcome: BatchOutcome,
) -> list[int]:
    """Replace what differs, one row after another as in a file; return the positions of conflicts that remain."""
    keys = {users[position].user_id for position in different} & stored.keys()
    now = {key: stored[key] for key in keys}
    updates: Counter[str] = Counter()
    for user in users:
        if user.user_id in keys and user != now[user.user_id]:
            now[user.user_id] = user
            updates[user.user_id] += 1
    changed = sorted(user for key, user in now.items() if user != stored[key])
    refused = {user.user_id for user in table.update(changed)}
    outcome.updated = sum(n for key, n in updates.items() if key not in refused)
    for key in refused:
        stored.pop(key)
    return [p for p in different if users[p].user_id not in keys - refused]


def _reason(user: UserRow, stored: UserRow | None) -> str:
    if stored is None:
        return _TAKEN
    names = [n for n in ("name", "email", "age") if getattr(user, n) != getattr(stored, n)]
    return f"conflict: another {' and '.join(names)} is stored for this user_id"
