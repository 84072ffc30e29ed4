"""Mutation testing: mutmut inside functions, its operators also outside of them, and a list of explained survivors.

mutmut changes function bodies and runs many mutants in one warm process, so it is quick, but leaves out
tables, constants and defaults of classes. `mutation_tables` changes those, with a process for each.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from userstream_testing.mutation_groups import GROUPS, Group
from userstream_testing.mutation_tables import mutants_outside_functions
from userstream_testing.repository import ROOT

__all__ = ["main"]

BUILD = ROOT / ".mutation"
EXPLAINED = ROOT / "tests/mutation-survivors.txt"
_SOURCES = ("server/userstream_server", "client/userstream_client", "protos/userstream", "tests")
_GROUP_LIMIT_SECONDS = 1800
_TABLE_LIMIT_SECONDS = 60
# CI has hypothesis draw the same examples each time.
_ENVIRONMENT = {
    **os.environ,
    "CI": "1",
    "USERSTREAM_TEST_FAST": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_KILLED = {"killed", "timeout", "segfault"}
_STATUS_LINE = re.compile(r"^\s*(\S+): (\w[\w ]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, and the lines it takes away and puts there, as in a diff."""

    place: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((self.place, *self.lines))


@dataclass
class Result:
    """What became of a group's mutants: killed means that a test failed, or hung."""

    killed: int = 0
    survivors: list[Mutant] = field(default_factory=list)


def main() -> int:
    """Run the groups named on the command line; return 1 if a survivor is not explained."""
    names = sys.argv[1:] or list(GROUPS)
    if unknown := set(names) - GROUPS.keys():
        sys.stderr.write(f"no group {', '.join(sorted(unknown))}; there are: {', '.join(GROUPS)}\n")
        return 2
    explained = _explained()
    unexplained = [mutant for name in names for mutant in _report(name, explained)]
    for mutant in unexplained:
        _say(f"\n{mutant}")
    if unexplained:
        _say(f"\n{len(unexplained)} are not explained: add a test, or a reason to {EXPLAINED}")
    return 1 if unexplained else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _report(name: str, explained: set[Mutant]) -> list[Mutant]:
    """Run a group, print its line and return the survivors that nobody explained."""
    began_at = time.monotonic()
    result = _run(GROUPS[name], BUILD / name)
    new = [mutant for mutant in result.survivors if mutant not in explained]
    _say(
        f"{name}: {result.killed + len(result.survivors)} mutants, {result.killed} killed,"
        f" {len(result.survivors) - len(new)} explained, {len(new)} not explained,"
        f" {time.monotonic() - began_at:.0f} s"
    )
    return new


def _run(group: Group, folder: Path) -> Result:
    _stage(group, folder)
    result = _inside_functions(group, folder)
    for module in group.modules:
        _outside_functions(group, folder, module, result)
    return result


def _stage(group: Group, folder: Path) -> None:
    """Copy what is needed, with the packages at the top, where mutmut looks for them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in _SOURCES:
        shutil.copytree(
            ROOT / source, folder / Path(source).name, ignore=shutil.ignore_patterns("__pycache__")
        )
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    pytest_section = text[text.index("[tool.pytest.ini_options]") :].split("\n\n")[0]
    (folder / "pyproject.toml").write_text(f"{pytest_section}\n\n{_mutmut_section(group)}", "utf-8")


def _mutmut_section(group: Group) -> str:
    lists = {
        "source_paths": ["userstream_server", "userstream_client"],
        "only_mutate": [*group.modules],
        "also_copy": ["userstream"],
        "pytest_add_cli_args_test_selection": [*group.tests],
    }
    return "\n".join(
        [
            "[tool.mutmut]",
            *(f"{key} = {value!r}" for key, value in lists.items()),
            'process_isolation = "forkserver"',
            f'forkserver_warmup = "{"none" if group.imports else "collect"}"',
            "timeout_multiplier = 8.0",
            "track_dependencies = false",
            "use_git_change_detection = false",
            "",
        ]
    )


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=_GROUP_LIMIT_SECONDS,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def _inside_functions(group: Group, folder: Path) -> Result:
    _mutmut(folder, "run", "--max-children", "1", *group.functions)
    result = Result()
    for name, status in _STATUS_LINE.findall(_mutmut(folder, "results", "--all", "true")):
        if group.functions and not any(fnmatch(name, pattern) for pattern in group.functions):
            continue
        if status in _KILLED:
            result.killed += 1
        else:
            result.survivors.append(_mutant(name, _mutmut(folder, "show", name)))
    return result


def _mutant(name: str, diff: str) -> Mutant:
    module, _, function = name.partition("__mutmut_")[0].rpartition(".")
    place = f"{module.replace('.', '/')}.py {function[2:].replace('ǁ', '.')}"
    changed = [line for line in diff.splitlines() if re.match(r"[-+](?!--|\+\+)", line)]
    return Mutant(place, tuple(_tidy(line) for line in changed))


def _tidy(line: str) -> str:
    return f"{line[0]} {line[1:].strip()}"


def _outside_functions(group: Group, folder: Path, module: str, result: Result) -> None:
    path = folder / module
    source = path.read_text("utf-8")
    for lines, mutated in mutants_outside_functions(source, group.untouched):
        path.write_text(mutated, "utf-8")
        if _tests_fail(group, folder):
            result.killed += 1
        else:
            result.survivors.append(Mutant(f"{module} -", tuple(map(_tidy, lines))))
    path.write_text(source, "utf-8")


def _tests_fail(group: Group, folder: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *group.tests]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**_ENVIRONMENT, "PYTHONPATH": str(folder)},
            capture_output=True,
            check=False,
            timeout=_TABLE_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def _explained() -> set[Mutant]:
    """Read the list: paragraphs of reasons (#), places, and changed lines (- and +)."""
    return {
        mutant
        for text in EXPLAINED.read_text("utf-8").split("\n\n")
        for mutant in _mutants_in(text)
    }


def _mutants_in(paragraph: str) -> Iterator[Mutant]:
    """Yield a paragraph's mutants: a place, then the changes there, each with its - before its +."""
    place, lines = "", list[str]()
    for line in [*paragraph.splitlines(), ""]:
        is_next = line.startswith("- ") and bool(lines) and lines[-1].startswith("+ ")
        if lines and (is_next or not line.startswith(("- ", "+ "))):
            yield Mutant(place, tuple(lines))
            lines = []
        if line.startswith(("- ", "+ ")):
            lines.append(line)
        elif not line.startswith("#"):
            place = line


if __name__ == "__main__":
    sys.exit(main())
