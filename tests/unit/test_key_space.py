"""Keys as numbers: which number a key has, and that numbers ascend as keys do."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream_server.rows.key_space import KeySpace

ids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)
UUIDS = ["0b0e0a36-5d6c-4a4f-8f0e-0123456789ab", "fb0e0a36-5d6c-4a4f-8f0e-0123456789ab"]
CUSTOMERS = ["customer_0001.3", "customer_2500.1"]
WORDS = ["abc", "xyz"]
MIXED = ["a b", "m~n", "z c"]


@pytest.mark.parametrize(
    ("samples", "key", "number"),
    [
        (UUIDS, UUIDS[0], 0x0B0E0A365D6C4A4F8F0E0123456789AB),
        (UUIDS, UUIDS[0].upper(), 0x0B0E0A365D6C4A4F8F0E0123456789AB),
        (UUIDS, "0b0e0a36", 0x0B0E0A36 << 96),
        (["0017", "0090"], "0017", 17),  # what all begin with is left out
        (["0017", "0090"], "0099", 99),
        (["0017", "0090"], "005", 50),  # shorter keys come before all that begin with them
        (["0017", "0090"], "00123", 12),  # longer ones count as far as the samples reach
        (CUSTOMERS, "customer_0001.3", 13),
        (CUSTOMERS, "customer_2500.1", 25_001),
        (WORDS, "abc", (10 * 36 + 11) * 36 + 12),
        (WORDS, "000", 0),
        (WORDS, "zzz", 36**3 - 1),
        (["x"], "x", 0),
        (["xy", "xy"], "xy", 0),
        (["", "9"], "", 0),
        (["a-1", "ab1"], "a-1", 13 * 95 + 17),  # what only some of them have separates nothing
        (["a-1", "ab-1"], "a-1", (13 * 95 + 17) * 95),
    ],
)
def test_which_number_a_key_has(samples: Sequence[str], key: str, number: int) -> None:
    """What differs between keys is read in the smallest base that has its characters."""
    assert number == KeySpace(samples).number(key)


@pytest.mark.parametrize(
    ("samples", "number", "key"),
    [
        (UUIDS, 0x0B0E0A365D6C4A4F8F0E0123456789AB, UUIDS[0]),
        (UUIDS, 0, "00000000-0000-0000-0000-000000000000"),
        (CUSTOMERS, 25_001, "customer_2500.1"),
        (["0017", "0090"], 5, "0005"),
        (WORDS, 36**3 - 1, "zzz"),
        (["x"], 0, "x0"),
        (["a", "ab"], 11, "ab"),
        (["a1-x", "b2-"], 1, "00-1"),
        (["10", "2"], 20, "20"),
    ],
)
def test_which_key_has_a_number(samples: Sequence[str], number: int, key: str) -> None:
    """It is as long as the longest sample, with what all keys have in common."""
    assert key == KeySpace(samples).key(number)


def test_keys_of_any_characters() -> None:
    """With a space or a tilde in them, printable ASCII is the alphabet, in its order."""
    space = KeySpace(MIXED)
    digits = [ord(char) - 0x20 for char in "m~n"]

    assert (digits[0] * 95 + digits[1]) * 95 + digits[2] == space.number("m~n")
    assert "m~n" == space.key(space.number("m~n"))
    assert space.number("m~n") == space.number("M~N")


@pytest.mark.parametrize(
    ("samples", "key", "like"),
    [
        (["10", "99"], "1/", "10"),  # before all digits
        (["10", "99"], "1x", "19"),  # behind all digits
        (["10", "99"], "0x", "09"),
        (["1a", "ff"], "1:", "1a"),  # between 9 and a
        (["1a", "ff"], "1z", "1f"),
    ],
)
def test_characters_that_no_sample_had(samples: Sequence[str], key: str, like: str) -> None:
    """Each counts as the next character that the samples' alphabet has, at most its last one."""
    space = KeySpace(samples)

    assert space.number(like) == space.number(key)


@pytest.mark.parametrize(
    ("key", "number"), [("customer", 0), ("a", 0), ("d", 99_999), ("customes", 99_999), ("", 0)]
)
def test_keys_that_begin_otherwise(key: str, number: int) -> None:
    """They lie before all keys, or behind them."""
    assert number == KeySpace([CUSTOMERS[0], CUSTOMERS[1]]).number(key)


def test_long_keys() -> None:
    """Only the first forty characters that differ count, so that numbers stay of a bearable size."""
    samples = ["0" * 100, "9" * 100]
    space = KeySpace(samples)

    assert 10**40 - 1 == space.number(samples[1])
    assert "9" * 40 == space.key(10**40 - 1)


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
