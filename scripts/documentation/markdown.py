"""Turns a page written for GitHub into one for the site: its links, and the indentation of its lists."""

import re
from collections.abc import Callable, Iterator

__all__ = ["for_site"]

_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_FENCE = re.compile(r"^ *(`{3,}|~{3,})")
_ITEM = re.compile(r"^([-*]|\d+\.) ")
_ABSOLUTE = re.compile(r"^([a-z]+:|#)")
_NESTED = 4  # spaces that Python-Markdown wants before what belongs to a list item


def for_site(text: str, resolve: Callable[[str, int], str]) -> str:
    """Return a page's text for the site.

    Args:
        text: The page as it is in the repository.
        resolve: Returns the site's link for a relative link, given with its line number.
    """
    return "\n".join(_with_nested_lists(_with_links(text, resolve))) + "\n"


def _with_links(text: str, resolve: Callable[[str, int], str]) -> Iterator[str]:
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _fence_after(line, fence)
        if fence:
            yield line
        else:
            yield _LINK.sub(lambda link, n=number: _resolved(link[1], n, resolve), line)  # type: ignore[misc]


def _resolved(link: str, number: int, resolve: Callable[[str, int], str]) -> str:
    return link if _ABSOLUTE.match(link) else resolve(link, number)


def _fence_after(line: str, fence: str) -> str:
    """Return the mark of the code block that is open after a line; empty for none."""
    mark = _FENCE.match(line)
    if not mark:
        return fence
    if not fence:
        return mark[1]
    return "" if mark[1].startswith(fence) else fence


def _with_nested_lists(lines: Iterator[str]) -> Iterator[str]:
    """Indent what belongs to an item by four spaces, and put an empty line before each list."""
    width, fence, before = 0, "", ""
    for line in lines:
        fence = _fence_after(line, fence)
        item = None if fence else _ITEM.match(line)
        if item and not width and before:
            yield ""
        if item:
            width = len(item[0])
        elif line and not line.startswith(" ") and not _continues(line, before, fence):
            width = 0
        yield _indented(line, width)
        before = line


def _continues(line: str, before: str, fence: str) -> bool:
    """Whether a line that is not indented still belongs to the paragraph before it."""
    return bool(before) and not fence and not line.startswith(("#", "|", "<"))


def _indented(line: str, width: int) -> str:
    if width and line.startswith(" " * width):
        return " " * (_NESTED - width) + line
    return line
