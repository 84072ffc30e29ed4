"""A map of the keys tells how many rows come before a key, whatever the keys look like and however estimates err."""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from math import inf

import pytest
from userstream_server.rows.key_map import KeyMap, _Range, map_keys
from userstream_server.rows.key_ranges import KeyRange
from userstream_server.rows.key_space import KeySpace
from userstream_server.seeding.synthetic import KEY_KINDS, KeyKind, synthetic_users

ROWS = 60_000
EXACT_ROWS = 900
"""About what ten of InnoDB's pages hold."""
_chance = random.Random(3)


def _synthetic(kind: KeyKind) -> list[str]:
    return sorted(user.user_id for user in synthetic_users(ROWS, key_kind=kind))


KEYS: dict[str, Callable[[], list[str]]] = {
    **{kind: partial(_synthetic, kind) for kind in KEY_KINDS},
    "decimal": lambda: [f"{n * 17:08d}" for n in range(ROWS)],
    "named": lambda: [f"customer_{n:07d}.{n % 7}" for n in range(ROWS)],
}


class Keys:
    """Answers for a list of keys as InnoDB would: small ranges exactly, larger ones doubled and a little off."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.asked = 0

    def some_keys(self) -> list[str]:
        return [*self.keys[:8], *self.keys[-8:]]

    def estimates(self, ranges: Sequence[KeyRange]) -> list[float]:
        self.asked += len(ranges)
        rows = [len(self._within(part)) for part in ranges]
        return [n if n <= EXACT_ROWS else 2 * n * _chance.uniform(0.9, 1.1) for n in rows]

    def ends(self, ranges: Sequence[KeyRange]) -> list[KeyRange | None]:
        found = map(self._within, ranges)
        return [(keys[0], keys[-1]) if keys else None for keys in found]

    def _within(self, part: KeyRange) -> list[str]:
        return self.keys[bisect_right(self.keys, part[0]) : bisect_right(self.keys, part[1])]


@pytest.mark.parametrize("kind", KEYS)
def test_positions(kind: str) -> None:
    """From a tenth of the table on, a key's position is right to within a tenth, and few ranges are asked for."""
    keys = Keys(KEYS[kind]())
    made = map_keys(keys)

    assert made is not None
    assert 0.9 < made.rows / ROWS < 1.1
    for share in range(10, 100):
        position = made.rows_up_to(keys.keys[ROWS * share // 100]) / made.rows

        assert 0.9 < position / (share / 100) < 1.1, share
    assert keys.asked < 1000


@pytest.mark.parametrize("keys", [["a"], ["a", "b"], ["A", "aa"], ["x"] * 3, ["~" * 64, " "]])
def test_small_tables(keys: list[str]) -> None:
    """A table of few keys has a map, too."""
    made = map_keys(Keys(sorted(keys)))

    assert made is not None
    assert 0 <= made.rows_up_to("m") <= made.rows


def test_an_empty_table() -> None:
    """No keys, no map."""
    assert map_keys(Keys([])) is None


NUMBERS = KeySpace(["000", "999"])


def test_where_a_key_stands() -> None:
    """All ranges before the key's own, and of that one the share that lies before the key."""
    made = KeyMap(NUMBERS, [_Range(99, 199, 50.0), _Range(199, 299, 10.0), _Range(399, 499, 40.0)])
    keys = ["000", "099", "100", "149", "199", "249", "299", "350", "399", "449", "499", "999"]

    assert 100.0 == made.rows
    assert [0, 0, 0.5, 25, 50, 55, 60, 60, 60, 80, 100, 100] == [
        made.rows_up_to(key) for key in keys
    ]


class Dense:
    """A thousand keys of three digits, of which each has its own number of rows.

    Args:
        rows: Of each key.
        counted_up_to: Larger estimates are doubled.
    """

    def __init__(self, rows: Sequence[int], counted_up_to: float = inf) -> None:
        self.before = [0, *accumulate(rows)]
        self._counted_up_to = counted_up_to
        self.asked: list[KeyRange] = []

    def some_keys(self) -> list[str]:
        return ["000", "999"]

    def estimates(self, ranges: Sequence[KeyRange]) -> list[float]:
        self.asked += ranges
        rows = [self.before[int(up_to) + 1] - self.before[int(low) + 1] for low, up_to in ranges]
        return [float(n if n <= self._counted_up_to else 2 * n) for n in rows]

    def ends(self, ranges: Sequence[KeyRange]) -> list[KeyRange | None]:
        return [(f"{int(after) + 1:03d}", up_to) for after, up_to in ranges]


@pytest.mark.parametrize("counted_up_to", [100, 150, 200, 250, 400, inf])
@pytest.mark.parametrize("slope", [1, 2])
def test_doubled_estimates_are_halved(slope: int, counted_up_to: float) -> None:
    """From whichever number on estimates are doubled, and wherever many keys lie, the map has each row once."""
    keys = Dense([50 + slope * (n - 500) // 10 for n in range(1000)], counted_up_to)
    made = map_keys(keys)

    assert made is not None
    assert made.rows == pytest.approx(keys.before[-1], rel=0.03)
    for n in range(0, 1000, 50):
        assert made.rows_up_to(f"{n:03d}") == pytest.approx(keys.before[n + 1], abs=1500)


def test_small_ranges_are_not_cut() -> None:
    """A table of few rows is cut once, into 32 ranges, and the largest of those again."""
    keys = Dense([1] * 1000)
    map_keys(keys)

    assert 32 < len(keys.asked) <= 64
