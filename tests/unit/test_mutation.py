"""The list of survivors and the targets of scripts/mutation speak of the code as it is."""

from userstream_testing.mutation_survivors import Survivor, explained, read_survivors
from userstream_testing.mutation_targets import TARGETS
from userstream_testing.repository import ROOT

LIST = """\
# A reason
# in two lines.
server/a.py Class.method
- one
+ two
- three
- four
+ five
server/a.py function
- six

# Another.
server/b.py NAME
*
"""
LISTED = [
    Survivor("server/a.py", "Class.method", ("- one", "+ two")),
    Survivor("server/a.py", "Class.method", ("- three", "- four", "+ five")),
    Survivor("server/a.py", "function", ("- six",)),
    Survivor("server/b.py", "NAME", ("*",)),
]


def test_how_the_list_is_read() -> None:
    """Reasons, places and changes; a change ends where the next one's "-" begins."""
    assert LISTED == list(read_survivors(LIST))
    assert "server/a.py Class.method\n- one\n+ two" == str(LISTED[0])


def test_what_the_list_explains() -> None:
    """The same change in the same place, or any change where it says so."""
    listed = set(LISTED)

    assert Survivor("server/a.py", "Class.method", ("- one", "+ two")).is_in(listed)
    assert Survivor("server/b.py", "NAME", ("- 1", "+ 2")).is_in(listed)
    assert not Survivor("server/a.py", "function", ("- one", "+ two")).is_in(listed)
    assert not Survivor("server/a.py", "NAME", ("- 1", "+ 2")).is_in(listed)


def stands(survivor: Survivor) -> bool:
    """Say whether the code has the lines that a survivor changes."""
    code = {line.strip() for line in (ROOT / survivor.file).read_text("utf-8").splitlines()}
    taken = {line[2:] for line in survivor.lines if line.startswith("- ")}
    return survivor.file in TARGETS and taken <= code


def test_the_list_is_of_this_code() -> None:
    """Each change is one of a line that is still there, in a file that is still tried."""
    assert [] == [str(survivor) for survivor in explained() if not stands(survivor)]


def test_the_targets_exist() -> None:
    """Each file and its tests."""
    paths = {*TARGETS, *(test for target in TARGETS.values() for test in target.tests)}

    assert [] == [path for path in paths if not (ROOT / path).is_file()]
    assert all(target.tests for target in TARGETS.values())
