"""docs/performance.md: every measure owns one part of it, between two comments, and writes nothing else."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rounds import Spread

__all__ = ["Section", "spread", "table", "write"]

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_PAGE = _DOCS / "performance.md"


@dataclass(frozen=True, slots=True)
class Section:
    """What a measure found.

    Attributes:
        name: The measure.
        body: Paragraphs and tables in Markdown.
        charts: SVG by file name, written beside the page.
    """

    name: str
    body: list[str]
    charts: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The Markdown."""
        return "\n\n".join(self.body)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are figures."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(figures: Spread, form: str) -> str:
    """Return minimum, median (bold) and maximum in one cell."""
    least, middle, most = (form.format(n) for n in (figures.least, figures.middle, figures.most))
    return f"{least} / **{middle}** / {most}"


def write(section: Section, note: str) -> Path:
    """Put a section, a note below it and its charts in their place in docs/."""
    begin, end = (f"<!-- {word} {section.name}: scripts/bench -->" for word in ("begin", "end"))
    new = f"{begin}\n\n{section.text}\n\n{note}\n\n{end}"
    page = _PAGE.read_text(encoding="utf-8") if _PAGE.exists() else "# Performance\n"
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if place.search(page):
        page = place.sub(lambda _: new, page)
    else:
        page = f"{page.rstrip()}\n\n## {section.name.capitalize()}\n\n{new}\n"
    _DOCS.mkdir(exist_ok=True)
    _PAGE.write_text(page, encoding="utf-8")
    for file_name, svg in section.charts.items():
        (_DOCS / file_name).write_text(svg, encoding="utf-8")
    return _PAGE
