"""Where a key stands among all keys, from estimates of how many rows some hundred key ranges hold.

The table's keys are cut into ranges, and ranges that hold much are cut again until none holds more than a
small part of the table. No row is read: InnoDB estimates a range by looking at its first and its last pages.
Within a range keys are taken as evenly spread.

InnoDB counts a range of up to ten pages exactly, and doubles its estimate of a larger one
(btr_estimate_n_rows_in_range). A map that mixed the two would be wrong by a factor of two in places, so
the map finds out from which number on estimates are doubled: the one with which the parts of the ranges that
were cut add up to the whole.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, inf
from typing import Protocol

from userstream_server.rows.key_ranges import KeyRange
from userstream_server.rows.key_space import KeySpace

__all__ = ["KeyMap", "map_keys"]

_PARTS = 256
"""About how many ranges a map has: an estimate of one is off by 15 %, so that of the first tenth by 3 %."""
_PARTS_AT_ONCE = 32
_LARGEST_SHARE = 1.3 / _PARTS
"""A range that holds more of the table is cut again."""
_SMALLEST_ROWS = 200
"""A range that holds less is never cut."""
_MOST_RANGES = 3 * _PARTS
_MOST_ROUNDS = 40
_GAP = 1.5
"""No estimate lies between the largest that is counted and this many times of it, as larger ones are doubled."""
_MOST_LIMITS = 24
_UNLIKELY = 0.1
"""How much one that does weighs beside parts that add up to other than the whole: as 10 % of it."""


class _Asked(Protocol):
    """Answers questions about key ranges; see `key_ranges.KeyRanges`."""

    def some_keys(self) -> list[str]: ...
    def estimates(self, ranges: Sequence[KeyRange]) -> list[float]: ...
    def ends(self, ranges: Sequence[KeyRange]) -> list[KeyRange | None]: ...


@dataclass(frozen=True, slots=True)
class _Range:
    """Keys above `low` up to `high`, as numbers, and the estimate of their rows."""

    low: int
    high: int
    rows: float


class KeyMap:
    """How many rows come before a key.

    Args:
        space: Makes numbers of keys.
        ranges: In key order, with their rows.
    """

    def __init__(self, space: KeySpace, ranges: Sequence[_Range]) -> None:
        self._space = space
        self._ranges = ranges
        self._lows = [part.low for part in ranges]
        self._before = [0.0, *accumulate(part.rows for part in ranges)]

    @property
    def rows(self) -> float:
        """All rows."""
        return self._before[-1]

    def rows_up_to(self, key: str) -> float:
        """Return about how many rows have this key or one before it."""
        number = self._space.number(key)
        at = bisect_left(self._lows, number) - 1
        if at < 0:
            return 0.0
        part = self._ranges[at]
        share = min(1.0, (number - part.low) / (part.high - part.low))
        return self._before[at] + share * part.rows


def map_keys(asked: _Asked) -> KeyMap | None:
    """Make a map of the table's keys; None of an empty table.

    Raises:
        UserStreamError: The database does not answer.
    """
    keys = asked.some_keys()
    if not keys:
        return None
    space = KeySpace(keys)
    low, high = space.number(keys[0]) - 1, space.number(keys[-1])
    ranges = _estimated(asked, space, _cut(low, max(high, low + 1), _PARTS_AT_ONCE))
    cuts: list[tuple[_Range, list[_Range]]] = []
    for _ in range(_MOST_ROUNDS):
        large = _large(ranges, is_first=not cuts)
        if not large or len(ranges) > _MOST_RANGES:
            break
        whole = sum(part.rows for part in ranges)
        made = _cut_again(asked, space, large, whole)
        cuts += zip(large, made, strict=True)
        ranges = [part for part in ranges if part not in large]
        ranges += [part for parts in made for part in parts]
    doubled_from = _doubled_from(cuts)
    ranges.sort(key=lambda part: part.low)
    return KeyMap(space, [_Range(r.low, r.high, _true_rows(r.rows, doubled_from)) for r in ranges])


def _large(ranges: Sequence[_Range], *, is_first: bool) -> list[_Range]:
    """Return the ranges to cut; at first the largest at least, so that something shows which are doubled."""
    most = max(_SMALLEST_ROWS, _LARGEST_SHARE * sum(part.rows for part in ranges))
    large = [part for part in ranges if part.rows > most and part.high - part.low > 1]
    if is_first and not large:
        largest = max(ranges, key=lambda part: part.rows)
        large = [largest] if largest.high - largest.low > 1 else []
    return large


def _cut_again(
    asked: _Asked, space: KeySpace, large: Sequence[_Range], whole: float
) -> list[list[_Range]]:
    """Cut ranges, each from the first to the last key that it has: keys may share most of their characters."""
    ends = asked.ends([_keys_of(space, part) for part in large])
    pieces = [
        _cut(
            space.number(found[0]) - 1,
            space.number(found[1]),
            min(_PARTS_AT_ONCE, ceil(_PARTS * part.rows / whole)),
        )
        if found
        else []
        for part, found in zip(large, ends, strict=True)
    ]
    estimated = iter(_estimated(asked, space, [piece for cut in pieces for piece in cut]))
    return [[next(estimated) for _ in cut] for cut in pieces]


def _estimated(asked: _Asked, space: KeySpace, pieces: Sequence[tuple[int, int]]) -> list[_Range]:
    parts = [_Range(low, high, 0.0) for low, high in pieces]
    rows = asked.estimates([_keys_of(space, part) for part in parts])
    return [_Range(part.low, part.high, n) for part, n in zip(parts, rows, strict=True)]


def _keys_of(space: KeySpace, part: _Range) -> KeyRange:
    return space.key(max(part.low, 0)), space.key(part.high)


def _cut(low: int, high: int, parts: int) -> list[tuple[int, int]]:
    """Cut a range of numbers into equal parts, fewer where it has fewer numbers."""
    borders = sorted({low + (high - low) * n // parts for n in range(parts + 1)})
    return list(pairwise(borders))


def _doubled_from(cuts: Sequence[tuple[_Range, list[_Range]]]) -> float:
    """Return the number of rows from which on estimates are doubled; infinite where none is."""
    parts = sorted(part.rows for _, made in cuts for part in made)

    def mismatch(limit: float) -> float:
        sums = (
            sum(_true_rows(part.rows, limit) for part in made) / _true_rows(whole.rows, limit)
            for whole, made in cuts
            if whole.rows
        )
        return sum(abs(share - 1) for share in sums)

    def mistakes(limit: float) -> float:
        # What lies a little above the limit would be the half: less than what is still counted.
        unlikely = bisect_right(parts, limit * _GAP) - bisect_right(parts, limit)
        return mismatch(limit) + unlikely * _UNLIKELY

    return min([0.0, *_limits(parts)], key=mistakes) if mismatch(inf) else inf


def _limits(parts: Sequence[float]) -> list[float]:
    """Return some of the ascending numbers: those below a gap, and a few of the others."""
    few = parts[:: 1 + len(parts) // _MOST_LIMITS]
    return [*few, *(low for low, high in pairwise([*parts, inf]) if high > low * _GAP)]


def _true_rows(rows: float, doubled_from: float) -> float:
    return rows / 2 if rows > doubled_from else rows
