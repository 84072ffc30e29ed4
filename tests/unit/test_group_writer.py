"""The checker of streams over a replication group finds faults."""

import pytest
from userstream_testing.group_writer import Row, Write, check_fresh

START = ["a", "b", "c", "d"]
WRITES = [
    Write(1, "d", is_delete=False, end=10.0),
    Write(2, "b", is_delete=False, end=11.0),
    Write(3, "e", is_delete=False, end=12.0),
    Write(4, "c", is_delete=True, end=13.0),
    Write(5, "a", is_delete=False, end=None),
]


def rows(**numbers: int) -> list[Row]:
    return [(user_id, f"Write {number}") for user_id, number in numbers.items()]


@pytest.mark.parametrize(
    ("got", "seen"),
    [
        (rows(a=0, b=0, c=0, d=0), 0),  # nothing of it yet
        (rows(a=0, b=0, c=0, d=0, e=3), 3),  # the last row alone was read later
        (rows(a=0, b=2, d=1, e=3), 3),
        (rows(a=5, b=2, d=1, e=3), 5),  # the write that nobody answered was made
        (rows(a=0, b=0, d=1, e=3), 3),  # c was deleted meanwhile
    ],
)
def test_what_may_be(got: list[Row], seen: int) -> None:
    """A stream that shows later and later states is right."""
    assert seen == check_fresh(START, WRITES, 0.0, got)


@pytest.mark.parametrize(
    ("got", "began_at", "fault"),
    [
        (rows(a=0, b=2, c=0, d=0, e=3), 0.0, "back in time"),  # d before write 1, behind write 2
        (rows(a=0, b=0, c=0, d=0), 11.5, "back in time"),  # what was written before it began
        (rows(a=0, b=2, c=0, d=1), 12.5, "missing"),  # e was there before it began
        (rows(b=0, c=0, d=0), 0.0, "missing"),  # a lived throughout
        (rows(a=0, c=0, d=0), 0.0, "missing"),  # b lived throughout
        (rows(a=0, b=2, c=0, d=7), 0.0, "never written"),
    ],
)
def test_what_must_not_be(got: list[Row], began_at: float, fault: str) -> None:
    """A row that is missing, older than one before it, or made up."""
    with pytest.raises(AssertionError, match=fault):
        check_fresh(START, WRITES, began_at, got)


def test_a_delete_that_nobody_answered() -> None:
    """The row may be there or not."""
    writes = [*WRITES[:4], Write(5, "a", is_delete=True, end=None)]

    check_fresh(START, writes, 0.0, rows(b=0, c=0, d=0))
    check_fresh(START, writes, 0.0, rows(a=0, b=0, c=0, d=0))
