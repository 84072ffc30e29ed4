"""The account of the fault tests: rounds, passes and worst times, as docs/reliability.md shows them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from userstream_testing.repository import ROOT

__all__ = ["FaultReport"]

_PAGE = ROOT / "docs/reliability.md"
_RUN = "scripts/test --long tests/faults"
_BEGIN, _END = f"<!-- begin faults: {_RUN} -->", f"<!-- end faults: {_RUN} -->"


@dataclass
class _Line:
    rounds: int = 0
    passed: int = 0
    worst_seconds: float = 0.0


@dataclass
class FaultReport:
    """Counts rounds by fault.

    Attributes:
        lines: By fault.
        notes: Further lines to print, by a name of each test's own.
    """

    lines: dict[str, _Line] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def round(self, fault: str) -> Iterator[None]:
        """Count a round, which passes unless the block raises; it lasts from the fault to the proof."""
        line = self.lines.setdefault(fault, _Line())
        line.rounds += 1
        begin = monotonic()
        yield
        line.passed += 1
        line.worst_seconds = max(line.worst_seconds, monotonic() - begin)

    def table(self) -> str:
        """Return the account in Markdown, with all of it in the last line."""
        lines = self.lines.values()
        whole = _Line(
            sum(line.rounds for line in lines),
            sum(line.passed for line in lines),
            max((line.worst_seconds for line in lines), default=0.0),
        )
        named = sorted(self.lines.items(), key=lambda item: _order(item[0]))
        rows = [
            f"| {fault} | {line.rounds:,} | {line.passed:,} | {line.worst_seconds:.2f} |"
            for fault, line in [*named, ("in all", whole)]
        ]
        return "\n".join(["| fault | rounds | passed | worst, s |", "|---|--:|--:|--:|", *rows])

    def write(self, path: Path = _PAGE) -> None:
        """Put the table in its place in docs/reliability.md."""
        place = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
        new = f"{_BEGIN}\n\n{self.table()}\n\n{_END}"
        page = path.read_text(encoding="utf-8")
        path.write_text(place.sub(lambda _: new, page), encoding="utf-8")


def _order(fault: str) -> tuple[int, str]:
    """Sort by the number a fault's name begins with."""
    return int(fault.split(maxsplit=1)[0]), fault
