"""Line charts side by side as one SVG, written by hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Panel", "Series", "picture"]

_COLUMNS = 2
_WIDTH, _HEIGHT, _GAP, _TOP = 470, 210, 14, 44
_LEFT, _RIGHT, _CHART_TOP, _CHART_HEIGHT = 62, 12, 34, 108
_COLORS = ("#2563a8", "#d9822b", "#3c9a5f", "#a23b72", "#7a6ff0", "#8a6d3b", "#4aa3a2", "#c0392b")
_INK, _PALE = "#1f2933", "#d9dee3"
_LEGEND_COLUMNS, _LEGEND_MOST = 3, 9


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, and points of time (seconds) and value."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart, with the unit as Grafana calls it."""

    title: str
    unit: str
    series: list[Series]


def picture(title: str, panels: Sequence[Panel]) -> str:
    """Return all panels as one picture."""
    width = _COLUMNS * (_WIDTH + _GAP) + _GAP
    height = _TOP + math.ceil(len(panels) / _COLUMNS) * (_HEIGHT + _GAP)
    drawn = [
        f'<g transform="translate({_GAP + (n % _COLUMNS) * (_WIDTH + _GAP)}'
        f' {_TOP + n // _COLUMNS * (_HEIGHT + _GAP)})">\n{_draw(panel)}</g>\n'
        for n, panel in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' font-family="sans-serif" font-size="11" fill="{_INK}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#f4f6f8"/>\n'
        f'<text x="{_GAP}" y="28" font-size="17" font-weight="bold">{escape(title)}</text>\n'
        + "".join(drawn)
        + "</svg>\n"
    )


def _draw(panel: Panel) -> str:
    times = [at for series in panel.series for at, _ in series.points]
    values = [v for series in panel.series for _, v in series.points if math.isfinite(v)]
    begin, end = (min(times), max(times)) if times else (0.0, 1.0)
    top = _round_up(max(values, default=1.0))
    lines = [
        _line(series, _COLORS[n % len(_COLORS)], begin, max(end - begin, 1.0), top)
        for n, series in enumerate(panel.series)
    ]
    return (
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff" stroke="{_PALE}"/>\n'
        f'<text x="10" y="20" font-size="13" font-weight="bold">{escape(panel.title)}</text>\n'
        + _grid(top, panel.unit)
        + "".join(lines)
        + _legend(panel.series)
    )


def _grid(top: float, unit: str) -> str:
    parts = []
    for step in range(3):
        y = _CHART_TOP + _CHART_HEIGHT * (2 - step) / 2
        parts.append(
            f'<path d="M{_LEFT} {y:.0f}H{_WIDTH - _RIGHT}" stroke="{_PALE}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{_told(top * step / 2, unit)}</text>\n'
        )
    return "".join(parts)


def _line(series: Series, color: str, begin: float, seconds: float, top: float) -> str:
    span = _WIDTH - _LEFT - _RIGHT
    points = " ".join(
        f"{_LEFT + (at - begin) / seconds * span:.1f},{_CHART_TOP + _CHART_HEIGHT * (1 - value / top):.1f}"
        for at, value in series.points
        if math.isfinite(value)
    )
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>\n'


def _legend(series: Sequence[Series]) -> str:
    parts = []
    for n, one in enumerate(series[:_LEGEND_MOST]):
        column, row = n % _LEGEND_COLUMNS, n // _LEGEND_COLUMNS
        x, y = 12 + column * 152, _CHART_TOP + _CHART_HEIGHT + 26 + row * 16
        parts.append(
            f'<rect x="{x}" y="{y - 8}" width="8" height="8" fill="{_COLORS[n % len(_COLORS)]}"/>'
            f'<text x="{x + 12}" y="{y}" font-size="10">{escape(one.name)}</text>\n'
        )
    return "".join(parts)


def _round_up(value: float) -> float:
    """Return the next 1, 2 or 5 with zeros, for an axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power)


def _told(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:g} ms" if value < 1 else f"{value:g} s"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            value, shown = value / size, letter
            break
    else:
        shown = ""
    ending = {"Bps": "B/s", "bytes": "B", "reqps": "/s"}.get(unit, "")
    return f"{value:g} {shown}{ending}".strip()
