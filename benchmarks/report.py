"""docs/performance.md: every measure owns one part of it, between two comments, and writes nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import Spread

__all__ = ["DOCS", "Section", "spread", "table", "write"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
_PAGE = DOCS / "performance.md"


@dataclass(frozen=True, slots=True)
class Section:
    """What a measure found.

    Attributes:
        name: The measure.
        body: Paragraphs and tables in Markdown.
    """

    name: str
    body: list[str]

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
    """Put a section, and a note below it, in its place in the page, or at the end at first."""
    begin, end = (f"<!-- {word} {section.name}: scripts/bench -->" for word in ("begin", "end"))
    new = f"{begin}\n\n{section.text}\n\n{note}\n\n{end}"
    page = _PAGE.read_text(encoding="utf-8") if _PAGE.exists() else "# Performance\n"
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if place.search(page):
        page = place.sub(lambda _: new, page)
    else:
        page = f"{page.rstrip()}\n\n## {section.name.capitalize()}\n\n{new}\n"
    DOCS.mkdir(exist_ok=True)
    _PAGE.write_text(page, encoding="utf-8")
    return _PAGE
