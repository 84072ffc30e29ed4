"""All pages of the site: those of docs/, the reference, and the files of the repository that they link to."""

import posixpath
import shutil
from collections.abc import Mapping
from pathlib import Path

from scripts.documentation.markdown import for_site
from scripts.documentation.navigation import configuration
from scripts.documentation.repository import ROOT, files_in, page_of_file, page_of_folder

__all__ = ["DeadLinksError", "write_sources"]

HOME = "scripts/documentation/home.md"
PROJECT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "RELEASE.md", "SECURITY.md")


class DeadLinksError(Exception):
    """Links of pages lead nowhere; `str()` has a line for each."""


class _Pages:
    """Pages being collected, and the files that they link to and that still need a page."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.wanted: list[str] = []
        self.dead: list[str] = []

    def add(self, source: str, text: str, page: str) -> None:
        """Add the page of a file of the repository, with its links for the site.

        Args:
            source: The file; relative links start there.
            text: Its text.
            page: Its place on the site.
        """
        self.texts[page] = ""  # before its links, which may lead back to it

        def resolve(link: str, line: int) -> str:
            path, mark, heading = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
            if target.startswith("..") or not (ROOT / target).exists():
                self.dead.append(f"{source}:{line}: {link} leads nowhere")
                return link
            place = self._place_of(target)
            return posixpath.relpath(place, posixpath.dirname(page)) + mark + heading

        self.texts[page] = for_site(text, resolve)

    def _place_of(self, target: str) -> str:
        place = _place(target)
        if place.endswith(".md") and place not in self.texts:
            self.wanted.append(target)
        return place

    def add_wanted(self) -> None:
        """Add a page for everything that pages link to, and for what these link to."""
        while self.wanted:
            target = self.wanted.pop()
            if _place(target) in self.texts:
                continue
            is_folder = (ROOT / target).is_dir()
            text = page_of_folder(target) if is_folder else page_of_file(target)
            self.add(f"{target}/" if is_folder else target, text, _place(target))


def _place(target: str) -> str:
    """Return where a file or folder of the repository is on the site."""
    if target == "docs":
        return "index.md"
    in_docs = target.startswith("docs/")
    # The generator skips names that begin with a dot.
    place = target.removeprefix("docs/") if in_docs else f"repository/{target}".replace("/.", "/")
    if (ROOT / target).is_dir():
        return f"{place}/index.md"
    return place if in_docs or place.endswith(".md") else f"{place}.md"


def write_sources(folder: Path, reference: Mapping[str, str]) -> None:
    """Write the pages and zensical.toml.

    Args:
        folder: Where to; what it holds is replaced.
        reference: The text of each page of the reference.

    Raises:
        DeadLinksError: Relative links lead nowhere.
    """
    pages = _Pages()
    documents = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    pages.texts["index.md"] = (ROOT / HOME).read_text("utf-8")  # its links are the site's own
    for source in (*documents, *PROJECT_PAGES):
        pages.add(source, (ROOT / source).read_text("utf-8"), _place(source))
    pages.add("docs/adr/", _decisions(), "adr/index.md")
    pages.add_wanted()
    if pages.dead:
        raise DeadLinksError("\n".join(pages.dead))
    names = ["index.md", "adr/index.md", *map(_place, documents)]
    _replace(folder, pages.texts | dict(reference), configuration(names))


def _decisions() -> str:
    titles = {}
    for name in files_in("docs/adr"):
        titles[name] = (ROOT / "docs/adr" / name).read_text("utf-8").splitlines()[0].lstrip("# ")
    links = "\n".join(f"- [{title}]({name})" for name, title in titles.items())
    return f"# Decisions\n\nWhat was measured, what was chosen, and what it costs.\n\n{links}\n"


def _replace(folder: Path, texts: Mapping[str, str], configured: str) -> None:
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.md"))
    for page, text in texts.items():
        path = pages / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (folder / "zensical.toml").write_text(configured, "utf-8")
