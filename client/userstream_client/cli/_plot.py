"""A histogram as bars of text."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product

from userstream_client.models import AgeCount

__all__ = ["plotted"]

_ROWS_MAX = 30
_EIGHTHS = "▏▎▍▌▋▊▉"


def plotted(histogram: Sequence[AgeCount], width: int, *, blocks: bool) -> Iterator[str]:
    """Yield a line for each group of ages, those without users included; the longest bar ends at the last column.

    Args:
        histogram: Users of each age, ascending, at least one.
        width: Of the longest line, in columns.
        blocks: Whether block characters can be shown; else bars are made of `#`.
    """
    first, last = histogram[0].age, histogram[-1].age
    years = _years_in_group(first, last)
    groups: Counter[int] = Counter()
    for bar in histogram:
        groups[bar.age // years] += bar.user_count
    order = range(first // years, last // years + 1)
    names = [_name(group, years) for group in order]
    counts = [f"{groups[group]:,}" for group in order]
    name_width, count_width = max(map(len, names)), max(map(len, counts))
    room = max(1, width - name_width - count_width - 3)
    most = max(groups.values())
    for group, name, count in zip(order, names, counts, strict=True):
        bar_text = _bar(groups[group] / most * room, blocks=blocks)
        yield f"{name:>{name_width}}  {count:>{count_width}} {bar_text}".rstrip()


def _years_in_group(first: int, last: int) -> int:
    """Return the smallest round number of years that needs few enough rows."""
    sizes = (digit * int(10**power) for power, digit in product(range(20), (1, 2, 5)))
    return next(size for size in sizes if last // size - first // size < _ROWS_MAX)


def _name(group: int, years: int) -> str:
    low = group * years
    high = low + years - 1
    if low == high:
        return str(low)
    return f"{low}-{high}" if low >= 0 else f"{low} to {high}"


def _bar(length: float, *, blocks: bool) -> str:
    if not blocks:
        return "#" * round(length)
    whole, eighths = divmod(round(length * 8), 8)
    return "█" * whole + (_EIGHTHS[eighths - 1] if eighths else "")
