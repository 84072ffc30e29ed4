"""A bar chart as SVG, written by hand: bars for medians, a line from minimum to maximum."""

from collections.abc import Mapping
from html import escape

from benchmarks.rounds import Spread

__all__ = ["bars"]

_LABEL_WIDTH, _BAR_WIDTH, _FIGURE_WIDTH = 250, 420, 110
_ROW_HEIGHT, _BAR_HEIGHT, _TOP = 30, 18, 44
_OURS, _OTHERS, _INK = "#2563a8", "#9aa5b1", "#1f2933"


def bars(title: str, figures: Mapping[str, Spread]) -> str:
    """Return the chart; those whose name begins with "userstream" stand out."""
    scale = _BAR_WIDTH / (max(f.most for f in figures.values()) or 1)
    width = _LABEL_WIDTH + _BAR_WIDTH + _FIGURE_WIDTH
    height = _TOP + _ROW_HEIGHT * len(figures) + 10
    rows = [
        _row(_TOP + _ROW_HEIGHT * number, name, figure, scale)
        for number, (name, figure) in enumerate(figures.items())
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' font-family="sans-serif" font-size="13" fill="{_INK}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="12" y="26" font-size="16" font-weight="bold">{escape(title)}</text>\n'
        + "".join(rows)
        + "</svg>\n"
    )


def _row(top: int, name: str, figure: Spread, scale: float) -> str:
    color = _OURS if name.startswith("userstream") else _OTHERS
    left, middle = _LABEL_WIDTH, top + _BAR_HEIGHT / 2
    least, most = left + figure.least * scale, left + figure.most * scale
    return (
        f'<text x="{left - 10}" y="{top + 13}" text-anchor="end">{escape(name)}</text>\n'
        f'<rect x="{left}" y="{top}" width="{figure.middle * scale:.1f}" height="{_BAR_HEIGHT}"'
        f' fill="{color}"/>\n'
        f'<path d="M{least:.1f} {middle}H{most:.1f}" stroke="{_INK}" stroke-width="2"/>\n'
        f'<text x="{most + 8:.1f}" y="{top + 13}">{figure.middle:,.0f}</text>\n'
    )
