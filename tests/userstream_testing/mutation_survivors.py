"""Changes that no test notices, and the list of those that somebody has explained."""

from collections.abc import Iterator
from dataclasses import dataclass

from userstream_testing.repository import ROOT

__all__ = ["LIST", "Survivor", "explained", "read_survivors"]

LIST = ROOT / "tests/mutation-survivors.txt"
_ANY = ("*",)


@dataclass(frozen=True)
class Survivor:
    """One change.

    Attributes:
        file: Its path in the repository.
        place: The function (`Class.method`), or the name outside of functions that is assigned.
        lines: The lines that it takes away ("- ...") and puts there ("+ ..."), as in a diff, without indentation.
            "*" in the list stands for any change in that place.
    """

    file: str
    place: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((f"{self.file} {self.place}", *self.lines))

    def is_in(self, listed: set["Survivor"]) -> bool:
        """Say whether the list explains it."""
        return self in listed or Survivor(self.file, self.place, _ANY) in listed


def explained() -> set[Survivor]:
    """Return the changes in the list."""
    return set(read_survivors(LIST.read_text("utf-8")))


def read_survivors(text: str) -> Iterator[Survivor]:
    """Yield the changes in a list: reasons (#), places, and under each place its changes, "-" before "+"."""
    file, place, lines = "", "", list[str]()
    for line in [*text.splitlines(), ""]:
        is_next = line.startswith("- ") and bool(lines) and lines[-1].startswith("+ ")
        if lines and (is_next or not line.startswith(("- ", "+ "))):
            yield Survivor(file, place, tuple(lines))
            lines = []
        if line.startswith(("- ", "+ ")) or line == "*":
            lines.append(line)
        elif line and not line.startswith("#"):
            file, place = line.split(" ")
