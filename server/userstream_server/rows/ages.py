"""Ages as whole years, made of the raw rows of a query for that one column."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing

from userstream_server.rows.row_check import checked_age
from userstream_server.rows.types import RawAge

__all__ = ["count_ages", "decode_ages"]


def count_ages(blocks: Generator[list[RawAge]]) -> Generator[Counter[int]]:
    """Count ages while they are read; yield the total once, at the end. Closes `blocks`.

    Raises:
        PreconditionError: An age is NULL, not a whole number, or beyond 64 bits.
    """
    # Counting raw one-column rows a block at a time costs a third of decoding each of them first.
    raw: Counter[RawAge] = Counter()
    with closing(blocks):
        for block in blocks:
            raw.update(block)
    ages: Counter[int] = Counter()
    for (digits,), number in raw.items():
        ages[checked_age(digits)] += number
    yield ages


def decode_ages(rows: Sequence[RawAge]) -> list[int]:
    """Turn raw rows of the one column age into whole years; raises as `count_ages`."""
    return [checked_age(age) for (age,) in rows]
