"""Where each page stands in the site's navigation, and the configuration of the site."""

import json
from collections.abc import Iterable
from typing import TypeAlias

from scripts.documentation.repository import ROOT

__all__ = ["REFERENCE", "configuration", "navigation"]

Entry: TypeAlias = "str | dict[str, str | list[Entry]]"

REFERENCE = {
    "reference/python.md": "Python client",
    "reference/api.md": "gRPC API",
    "reference/commands.md": "Commands",
    "reference/settings.md": "Settings",
    "reference/metrics.md": "Metrics",
    "reference/statuses.md": "Statuses and reasons",
}
_HOW_TO = (
    "clients.md", "cli.md", "seeding.md", "exports.md", "generators.md", "testing.md", "deployment.md", "operations.md",
    "observability.md",
)  # fmt: skip
_FACTS = ("tables.md", "compatibility.md", "licences.md")
_EXPLANATION = ("architecture.md", "performance.md", "scaling.md", "reliability.md", "security.md")
_SINGLE = {"Home": "index.md", "Tutorial": "tutorial.md", "Questions": "faq.md"}
_PROJECT = ("CHANGELOG", "CONTRIBUTING", "RELEASE", "SECURITY")
_CONFIGURATION = """\
[project]
site_name = "userstream"
site_description = "Stream the users of a MySQL table over gRPC, and prove that no row was lost."
docs_dir = "pages"
site_dir = "site"
nav = {navigation}

[project.theme]
# No fonts from elsewhere: the site works offline.
font = false
features = [
    "content.code.copy", "navigation.footer", "navigation.indexes",
    "navigation.sections", "navigation.tabs", "search.highlight",
]

# Addresses of headings are those of GitHub, where the same pages are read.
[project.markdown_extensions.toc]
permalink = true
slugify = {{object = "pymdownx.slugs.slugify", kwds = {{case = "lower"}}}}

[project.markdown_extensions.attr_list]
[project.markdown_extensions.md_in_html]
[project.markdown_extensions.tables]
[project.markdown_extensions.pymdownx.highlight]
[project.markdown_extensions.pymdownx.superfences]

[project.plugins.mkdocstrings.handlers.python]
paths = [{client}]

[project.plugins.mkdocstrings.handlers.python.options]
docstring_style = "google"
docstring_options = {{returns_multiple_items = false}}
extensions = ["griffe_inherited_docstrings"]
heading_level = 3
inherited_members = true
merge_init_into_class = true
separate_signature = true
show_bases = false
show_root_heading = true
show_source = false
"""


def navigation(pages: Iterable[str]) -> list[Entry]:
    """Return the navigation over the pages of docs/; a page without a place stands among the how-tos."""
    there = set(pages)
    decisions = sorted(page for page in there if page.startswith("adr/") and page != "adr/index.md")
    placed = {*_HOW_TO, *_FACTS, *_EXPLANATION, *_SINGLE.values(), *decisions, "adr/index.md"}
    how_to = [*_HOW_TO, *sorted(there - placed)]
    reference: list[Entry] = [{title: page} for page, title in REFERENCE.items()]
    single: list[Entry] = [{title: page} for title, page in _SINGLE.items() if page in there]
    recorded: list[Entry] = ["adr/index.md", *decisions]
    explanation: list[Entry] = [*_present(_EXPLANATION, there), {"Decisions": recorded}]
    return [
        *single,
        {"How to": _present(how_to, there)},
        {"Reference": [*reference, *_present(_FACTS, there)]},
        {"Explanation": explanation},
        {"Project": [{name.title(): f"repository/{name}.md"} for name in _PROJECT]},
    ]


def _present(pages: Iterable[str], there: set[str]) -> list[Entry]:
    return [page for page in pages if page in there]


def configuration(pages: Iterable[str]) -> str:
    """Return zensical.toml for the pages of docs/."""
    client = json.dumps(str(ROOT / "client"))
    return _CONFIGURATION.format(navigation=_toml(navigation(pages)), client=client)


def _toml(entry: "Entry | list[Entry]") -> str:
    # A string in JSON is one in TOML too.
    if isinstance(entry, str):
        return json.dumps(entry)
    if isinstance(entry, list):
        return f"[{', '.join(map(_toml, entry))}]"
    return (
        "{" + ", ".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in entry.items()) + "}"
    )
