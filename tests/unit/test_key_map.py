"""A map of the keys tells how many rows come before a key, whatever the keys look like and however estimates err."""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream_server.rows.key_map import map_keys
from userstream_server.rows.key_ranges import KeyRange
from userstream_server.rows.key_space import KeySpace
from userstream_server.seeding.synthetic import KEY_KINDS, KeyKind, synthetic_users

pytestmark = pytest.mark.slow

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


ids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)


@given(st.lists(ids, min_size=1, max_size=8), ids)
def test_any_keys(samples: list[str], key: str) -> None:
    """Any id has a number, also one with characters that no sample had, and each number is a key."""
    space = KeySpace(samples)
    number = space.number(key)

    assert space.number(space.key(number)) == number


@given(st.lists(st.uuids().map(str), min_size=2, max_size=9, unique=True))
def test_numbers_ascend_as_keys(keys: list[str]) -> None:
    """Keys and numbers have one order, and a number leads back to its key."""
    space = KeySpace(sorted(keys))

    assert sorted(keys) == sorted(keys, key=space.number)
    assert keys == [space.key(space.number(key)) for key in keys]
