"""What examples/README.md says of the examples."""

import re

import pytest
from userstream_testing.example_programs import PROGRAMS
from userstream_testing.repository import ROOT

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
PAGE = (EXAMPLES / "README.md").read_text("utf-8")
ROWS = re.findall(r"^\| \[(.+?)/\]\(\1/\) \|.*\| (.+) \|$", PAGE, re.MULTILINE)


def test_every_example_is_listed_and_tested() -> None:
    """The table has each folder once, and each program is one of them."""
    assert FOLDERS == sorted(name for name, _ in ROWS)
    assert {program.name for program in PROGRAMS} <= set(FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_times_agree(name: str) -> None:
    """An example's own page gives the same time."""
    page = EXAMPLES.joinpath(name, "README.md").read_text("utf-8")

    assert (
        1 == page.count(f"with the server: {dict(ROWS)[name]} s.") == page.count("with the server:")
    )
