"""The pages that scripts/docs makes: links and lists of those written by hand, and the reference from the sources."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import userstream_client
from userstream.v1 import user_service_pb2 as pb
from userstream_client._settings import ClientSettings
from userstream_server.settings import ServerSettings
from userstream_testing.repository import ROOT

from scripts.documentation.markdown import for_site
from scripts.documentation.navigation import REFERENCE, configuration, navigation
from scripts.documentation.reference.api import api_page
from scripts.documentation.reference.commands import commands_page
from scripts.documentation.reference.metrics import metrics_page
from scripts.documentation.reference.python_client import python_page
from scripts.documentation.reference.settings import settings_page
from scripts.documentation.reference.statuses import statuses_page
from scripts.documentation.repository import page_of_file, page_of_folder
from scripts.documentation.sources import DeadLinksError, write_sources

NO_REFERENCE = dict.fromkeys(REFERENCE, "# Left out\n")


def as_it_is(link: str, line: int) -> str:  # noqa: ARG001 - a resolver gets both
    return link


def test_links_are_resolved_outside_code() -> None:
    """Relative links go through the resolver with their line; addresses, headings and code stay."""
    asked = []

    def resolve(link: str, line: int) -> str:
        asked.append((link, line))
        return "there.md"

    text = "[a](a.md#x) [b](https://b.example)\n[c](#c)\n```\n[d](d.md)\n```\n[e](../e)\n"

    assert for_site(text, resolve) == (
        "[a](there.md) [b](https://b.example)\n[c](#c)\n```\n[d](d.md)\n```\n[e](there.md)\n"
    )
    assert asked == [("a.md#x", 1), ("../e", 6)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. one\n   more\n\n   ```\n   code\n   ```\n2. two\n",) * 2,
        ("- a\n  b\n", "- a\n    b\n"),
        ("- a\nlazy\n  b\n", "- a\nlazy\n    b\n"),
        ("before\n- a\n", "before\n\n- a\n"),
        ("- a\n\nafter\n  kept\n", "- a\n\nafter\n  kept\n"),
        ("```\n- a\n  b\n```\n", "```\n- a\n  b\n```\n"),
    ],
)
def test_what_belongs_to_an_item_is_indented_by_four(text: str, expected: str) -> None:
    """Python-Markdown ends a list at what GitHub takes for a part of its item."""
    if text.startswith("1."):
        expected = text.replace("   ", "    ")

    assert expected == for_site(text, as_it_is)


def test_every_page_of_docs_is_in_the_navigation() -> None:
    """Also one that was added and has no place of its own."""
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    shown = repr(navigation([*pages, "index.md", "adr/index.md", "brand-new.md"]))

    assert [] == [page for page in [*pages, "brand-new.md"] if f"'{page}'" not in shown]
    assert "brand-new.md" in configuration(["brand-new.md"])


def test_pages_and_the_files_that_they_link_to_are_written(tmp_path: Path) -> None:
    """Relative links of all pages lead to something, and files outside docs/ become pages."""
    write_sources(tmp_path, NO_REFERENCE)

    pages = tmp_path / "pages"
    assert "(repository/deploy/compose.yaml.md)" in (pages / "deployment.md").read_text("utf-8")
    assert "services:" in (pages / "repository/deploy/compose.yaml.md").read_text("utf-8")
    assert (pages / "dashboard.svg").is_file()
    assert (pages / "repository/CHANGELOG.md").is_file()


def test_a_dead_link_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its page and line."""
    monkeypatch.setattr("scripts.documentation.sources._decisions", lambda: "[x](gone.md)\n")

    with pytest.raises(DeadLinksError, match=r"^docs/adr/:1: gone\.md leads nowhere$"):
        write_sources(tmp_path, NO_REFERENCE)


def test_no_ignored_file_gets_a_page() -> None:
    """Secrets of a development machine lie in ignored files."""
    secret = ROOT / "deploy/compose/secrets"

    assert f"{secret.name}/" not in page_of_folder("deploy/compose")
    with pytest.raises(FileNotFoundError):
        page_of_file(".env")


def test_settings_page_has_every_setting() -> None:
    """One row a setting, of server and client."""
    fields = [*ServerSettings.model_fields, *ClientSettings.model_fields]
    rows = re.findall(r"^\| `USERSTREAM_(\w+)` \|", settings_page(), re.MULTILINE)

    assert rows == [field.upper() for field in fields]


def test_statuses_page_has_the_reasons_of_the_runbook() -> None:
    """docs/operations.md explains each reason of a call; the rest need none, or are those of seeding."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    table = page[page.index("## Statuses") : page.index("## Scaling")]
    explained = set(
        re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", re.sub(r"\| [^|]*\|$", "", table, flags=re.MULTILINE))
    )
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", statuses_page(), re.MULTILINE))

    assert {"CANCELLED", "DATABASE_FILE", "DATABASE_READ_ONLY"} == listed - explained
    assert set() == {reason for reason in explained if "_" in reason} - listed


@pytest.mark.slow
def test_api_page_has_every_rpc_and_message() -> None:
    """As headings, with the comments of the proto."""
    headings = re.findall(r"^###? (\w+)$", api_page(), re.MULTILINE)
    service = pb.DESCRIPTOR.services_by_name["UserService"]

    assert {*service.methods_by_name, *pb.DESCRIPTOR.message_types_by_name} <= set(headings)
    assert "user_count is the number of users sent." in api_page()


def test_python_page_has_every_exported_name() -> None:
    """In groups, each once."""
    names = re.findall(r"^::: userstream_client\.(\w+)$", python_page(), re.MULTILINE)

    assert sorted(names) == sorted(userstream_client.__all__)


@pytest.mark.slow
def test_commands_page_has_every_command() -> None:
    """As `userstream --help` lists them."""
    page = commands_page()
    command = [sys.executable, "-m", "typer", "userstream_client.cli", "run", "--help"]
    said = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"COLUMNS": "100", "TERM": "dumb"}
    )
    listed = re.findall(r"^ *[│ ] ?([a-z]+(?:-[a-z]+)?)  ", said.stdout, re.MULTILINE)

    assert len(listed) >= 8
    assert [] == [name for name in listed if f"### `userstream {name}`" not in page]
    assert "### `userstream-server seed`" in page


@pytest.mark.slow
def test_metrics_page_has_the_metrics_of_the_guide() -> None:
    """docs/observability.md explains each metric that a server of one database host shows, and no other."""
    guide = (ROOT / "docs/observability.md").read_text("utf-8")
    guide = guide[guide.index("## Metrics") : guide.index("## Traces")]
    guide = re.sub(r"### Of several database hosts\n.*?(?=\n### )", "", guide, flags=re.DOTALL)
    metric = re.compile(r"^\| `((?:grpc|userstream)_\w+)` \| (\w+) \|", re.MULTILINE)

    assert set(metric.findall(guide)) == set(metric.findall(metrics_page()))
