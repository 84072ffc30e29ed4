"""Several connection pools as one, for metrics."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from userstream_server.databases.pool_state import PoolState

__all__ = ["Pools"]

K = TypeVar("K")
N = TypeVar("N", int, float)


class Pools:
    """The sums over some pools; a `PoolState`.

    Args:
        pools: The pools.
    """

    def __init__(self, pools: Sequence[PoolState]) -> None:
        self._pools = pools
        self.waits = _Waits(pools)

    @property
    def size(self) -> int:
        """The most connections."""
        return sum(pool.size for pool in self._pools)

    @property
    def in_use(self) -> int:
        """How many are handed out."""
        return sum(pool.in_use for pool in self._pools)

    @property
    def waiting(self) -> int:
        """How many queries wait for one."""
        return sum(pool.waiting for pool in self._pools)

    @property
    def callers_waiting(self) -> int:
        """How many callers these queries belong to; one that waits at several hosts counts several times."""
        return sum(pool.callers_waiting for pool in self._pools)

    def in_use_by_class(self) -> Mapping[str, int]:
        """Return how many are handed out, by class."""
        return _sums(pool.in_use_by_class() for pool in self._pools)

    def waiting_by_class(self) -> Mapping[str, int]:
        """Return how many queries wait, by class."""
        return _sums(pool.waiting_by_class() for pool in self._pools)


class _Waits:
    """The waits of all pools."""

    def __init__(self, pools: Sequence[PoolState]) -> None:
        self._pools = pools

    def count(self) -> Mapping[tuple[str, str], int]:
        return _sums(pool.waits.count() for pool in self._pools)

    def seconds(self) -> Mapping[str, float]:
        return _sums(pool.waits.seconds() for pool in self._pools)


def _sums(parts: Iterable[Mapping[K, N]]) -> dict[K, N]:
    sums: dict[K, N] = {}
    for part in parts:
        for key, number in part.items():
            sums[key] = sums[key] + number if key in sums else number
    return sums
