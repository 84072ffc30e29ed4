"""Rules of the house that no linter knows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from userstream_testing.repository import ROOT

FOLDERS = (
    "protos",
    "server",
    "client",
    "tests",
    "scripts",
    "requirements",
    "docs",
    "deploy",
    "benchmarks",
    "examples",
    ".ci",
    ".github",
)
NOT_OURS = {"__pycache__", "node_modules", ".build"}
LINES_MAX = 300

PACKAGE_INDEX = re.compile(
    r"\b(pypi|pythonhosted|npmjs|rubygems|crates)\.(org|com|io)\b"
    r"|\b(registry|proxy|deb|security|archive|ftp)\.(npm|yarn|golang|debian|ubuntu)"
)
MACHINE_PATH = re.compile(r"(?<![\w.-])/(root|work|home/\w+|Users/\w+)(/|\b)")


def files() -> Iterator[Path]:
    """Yield every text file that may be committed."""
    # In a git worktree, .git is a file.
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != ".git")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not NOT_OURS & set(path.relative_to(ROOT).parts):
                yield path


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is each machine's own affair."""
    assert [] == lines_with(PACKAGE_INDEX)


def test_no_file_names_a_path_of_one_machine() -> None:
    """What is committed works in any folder, for any user."""
    assert [] == lines_with(MACHINE_PATH)


@pytest.mark.parametrize(
    "folder", ["server", "client", "tests", "scripts", "benchmarks", "examples"]
)
def test_files_are_short(folder: str) -> None:
    """A module of more than 300 lines holds more than one thing."""
    modules = (ROOT / folder).rglob("*.py")
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in modules}

    assert {} == {path: size for path, size in sizes.items() if size > LINES_MAX}


def test_scripts_can_be_run() -> None:
    """Every script that stands for a command is executable and says what runs it."""
    commands = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    commands = [path for path in commands if not path.name.startswith("_")]

    assert [] == [
        path.name
        for path in (*commands, ROOT / ".ci/run")
        if not (path.stat().st_mode & 0o111 and path.read_text("utf-8").startswith("#!"))
    ]
