"""Which query gets the next free connection: fair between callers, first come first served within one.

Callers that wait take turns. One that already holds its share of the connections is served only when no
other caller can be. What may run long has limits below the pool's size, so that short queries always find a
connection that is soon free.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Generic, Protocol, TypeVar

__all__ = ["Claim", "FairQueue", "LeaseClass"]


class LeaseClass(Enum):
    """What a connection is taken for."""

    LOOKUP = "lookup"
    """A short query by the key."""
    FILTERED = "filtered"
    """A query with a filter, which may turn out to read the whole table."""
    SCAN = "scan"
    """A query that reads the whole table, or all of a range of it."""
    SNAPSHOT = "snapshot"
    """A read view that a stream keeps until its end."""


class Claim(Protocol):
    """A query that wants a connection."""

    @property
    def caller(self) -> str:
        """Whose query it is; equal for all queries of one caller."""

    @property
    def kind(self) -> LeaseClass:
        """What for."""


T = TypeVar("T", bound=Claim)


class _Line(Generic[T]):
    """The waiting claims of one caller. Each class has a queue of its own, as only some can be held back."""

    def __init__(self) -> None:
        self._arrived = 0
        self._queues: defaultdict[LeaseClass, deque[tuple[int, T]]] = defaultdict(deque)

    def __bool__(self) -> bool:
        return any(self._queues.values())

    def __iter__(self) -> Iterator[T]:
        return (claim for queue in self._queues.values() for _, claim in queue)

    def join(self, claim: T) -> None:
        self._arrived += 1
        self._queues[claim.kind].append((self._arrived, claim))

    def leave(self, claim: T) -> None:
        queue = self._queues[claim.kind]
        for entry in queue:
            if entry[1] is claim:
                queue.remove(entry)
                return

    def first(self, kinds: AbstractSet[LeaseClass]) -> T | None:
        """Return who has waited longest among some classes."""
        heads = [queue[0] for kind, queue in self._queues.items() if queue and kind in kinds]
        return min(heads, key=lambda entry: entry[0])[1] if heads else None


class FairQueue(Generic[T]):
    """Counts who holds connections and who waits. It has no lock and no connections; `pool.Pool` has both.

    Args:
        size: The number of connections.
        caller_share: The share of them, 0 to 1, up to which a waiting caller goes before those that hold more.
        scans_share: The share of them, 0 to 1, that full scans may hold together. Queries with a filter may hold twice
            as many. Neither may hold all, unless there is only one.
    """

    def __init__(self, size: int, *, caller_share: float = 0.5, scans_share: float = 0.25) -> None:
        self._size = size
        self._caller_most = max(1, round(size * caller_share))
        self._most = dict.fromkeys(LeaseClass, size)
        for kind, share in ((LeaseClass.SCAN, scans_share), (LeaseClass.FILTERED, 2 * scans_share)):
            self._most[kind] = max(1, min(size - 1, round(size * share)))
        self._held: Counter[str] = Counter()
        self._held_for: Counter[LeaseClass] = Counter()
        # In the order of their turns.
        self._lines: OrderedDict[str, _Line[T]] = OrderedDict()

    @property
    def held(self) -> Counter[LeaseClass]:
        """How many connections are handed out, by class."""
        return self._held_for

    @property
    def callers(self) -> int:
        """How many callers wait."""
        return len(self._lines)

    def waiting(self) -> Counter[LeaseClass]:
        """Count the waiting claims by class."""
        return Counter(claim.kind for line in self._lines.values() for claim in line)

    def try_take(self, claim: T) -> bool:
        """Count a claim as holding a connection, if it may have one now. No one who waits could have had that one."""
        if not self._fits(claim.kind):
            return False
        self._take(claim)
        return True

    def join(self, claim: T) -> None:
        """Let a claim wait."""
        line = self._lines.get(claim.caller)
        if line is None:
            line = self._lines[claim.caller] = _Line()
        line.join(claim)

    def leave(self, claim: T) -> None:
        """Take a claim out of the queue, if it is there."""
        if line := self._lines.get(claim.caller):
            line.leave(claim)
            if not line:
                del self._lines[claim.caller]

    def release(self, claim: T) -> None:
        """Count a connection as free again. Call `admit` then."""
        self._held_for[claim.kind] -= 1
        self._held[claim.caller] -= 1
        if not self._held[claim.caller]:
            del self._held[claim.caller]

    def admit(self) -> Iterator[T]:
        """Yield the claims that may have a connection now; each has left the queue and counts as holding one."""
        while (claim := self._next()) is not None:
            self.leave(claim)
            if claim.caller in self._lines:
                self._lines.move_to_end(claim.caller)
            self._take(claim)
            yield claim

    def _next(self) -> T | None:
        """Return whose turn it is: callers below their share first, in the order of their turns."""
        if not self._lines or not (kinds := {kind for kind in LeaseClass if self._fits(kind)}):
            return None
        richer: T | None = None
        for caller, line in self._lines.items():
            claim = line.first(kinds)
            if claim is not None and self._held[caller] < self._caller_most:
                return claim
            richer = richer or claim
        return richer

    def _take(self, claim: T) -> None:
        self._held_for[claim.kind] += 1
        self._held[claim.caller] += 1

    def _fits(self, kind: LeaseClass) -> bool:
        """Say whether one more of a class may have a connection."""
        held = self._held_for
        if held.total() >= self._size or held[kind] >= self._most[kind]:
            return False
        if kind in {LeaseClass.LOOKUP, LeaseClass.SNAPSHOT} or not held[kind]:
            return True
        # Snapshots last as long as scans do: together they leave one connection to lookups.
        return held.total() - held[LeaseClass.LOOKUP] < self._size - 1
