"""Mutation testing with mutmut, its operators applied to what it leaves out, and a list of explained survivors.

mutmut changes functions and tries many mutants in one warm process, so it is quick, but it leaves out decorated
functions, tables, constants and defaults of classes. `mutation_tables` changes those, with a process for each.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from userstream_testing.mutation_survivors import LIST, Survivor, explained
from userstream_testing.mutation_tables import has_plain_functions, other_mutants
from userstream_testing.mutation_targets import TARGETS, Target
from userstream_testing.repository import ROOT

__all__ = ["main"]

BUILD = ROOT / ".mutation"
_SOURCES = (
    "server/userstream_server",
    "client/userstream_client",
    "client/userstream_conformance",
    "protos/userstream",
    "tests",
)
_FILE_LIMIT_SECONDS = 1200
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


@dataclass
class Result:
    """What became of a file's mutants: killed means that a test failed, or hung."""

    killed: int = 0
    survivors: list[Survivor] = field(default_factory=list)


def main() -> int:
    """Change the files named on the command line; return 1 if a survivor is not explained."""
    files = _chosen(sys.argv[1:])
    if not files:
        sys.stderr.write("\n".join(["no such file here; there are:", *TARGETS, ""]))
        return 2
    listed = explained()
    unexplained = sum(_report(file, listed) for file in files)
    if unexplained:
        _say(f"{unexplained} are not explained: add a test, or a reason to {LIST}")
    return 1 if unexplained else 0


def _chosen(paths: list[str]) -> list[str]:
    """Return the files that the paths name, or lie in the folders that they name; all without paths."""
    wanted = [path.removesuffix("/") for path in paths]
    return [
        file
        for file in TARGETS
        if not wanted or any(file == path or file.startswith(f"{path}/") for path in wanted)
    ]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _report(file: str, listed: set[Survivor]) -> int:
    """Try a file's mutants, print its line and the survivors that nobody explained; return how many those are."""
    began_at = time.monotonic()
    result = _try_mutants(file, TARGETS[file], BUILD / file.replace("/", "."))
    new = [survivor for survivor in result.survivors if not survivor.is_in(listed)]
    _say(
        f"{file}: {result.killed + len(result.survivors)} mutants, {result.killed} killed,"
        f" {len(result.survivors) - len(new)} explained, {len(new)} not explained,"
        f" {time.monotonic() - began_at:.0f} s"
    )
    for survivor in new:
        _say(f"\n{survivor}\n")
    return len(new)


def _try_mutants(file: str, target: Target, folder: Path) -> Result:
    _stage(file, target, folder)
    result = Result()
    if has_plain_functions((folder / _module(file)).read_text("utf-8")):
        _functions(file, folder, result)
    _other(file, target, folder, result)
    return result


def _stage(file: str, target: Target, folder: Path) -> None:
    """Copy what is needed, with the packages at the top, where mutmut looks for them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in _SOURCES:
        shutil.copytree(
            ROOT / source, folder / Path(source).name, ignore=shutil.ignore_patterns("__pycache__")
        )
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    pytest_section = text[text.index("[tool.pytest.ini_options]") :].split("\n\n")[0]
    settings = _mutmut_section(_module(file), target)
    (folder / "pyproject.toml").write_text(f"{pytest_section}\n\n{settings}", "utf-8")
    _hide(target.on_import, folder / _module(file))


def _hide(functions: tuple[str, ...], path: Path) -> None:
    """Have mutmut leave functions alone."""
    source = path.read_text("utf-8")
    for name in functions:
        source = re.sub(rf"(?m)^(def {name}\(.*:)$", r"\1  # pragma: no mutate block", source)
    path.write_text(source, "utf-8")


def _module(file: str) -> str:
    """Return where a file is among the copies: without its source root."""
    return file.partition("/")[2]


def _mutmut_section(module: str, target: Target) -> str:
    lists = {
        "source_paths": ["userstream_server", "userstream_client"],
        "only_mutate": [module],
        "also_copy": ["userstream", "userstream_conformance"],
        "pytest_add_cli_args_test_selection": [*target.tests],
    }
    return "\n".join(
        [
            "[tool.mutmut]",
            *(f"{key} = {value!r}" for key, value in lists.items()),
            'process_isolation = "forkserver"',
            "debug = true",  # prints why a test failed that should not
            "timeout_multiplier = 5.0",
            "track_dependencies = false",
            "use_git_change_detection = false",
            "",
        ]
    )


def _functions(file: str, folder: Path, result: Result) -> None:
    _mutmut(folder, "run", "--max-children", "1")
    for name, status in _STATUS_LINE.findall(_mutmut(folder, "results", "--all", "true")):
        if status in _KILLED:
            result.killed += 1
        else:
            lines = _changed_lines(_mutmut(folder, "show", name))
            result.survivors.append(Survivor(file, _place(name), lines))


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    code, output = _run(command, folder, _FILE_LIMIT_SECONDS)
    if code:
        raise SystemExit(f"{' '.join(command)} failed in {folder}:\n{output[-4000:]}")
    return output


def _run(command: list[str], folder: Path, seconds: float, **more: str) -> tuple[int, str]:
    """Run a command for so many seconds at most; return its exit code and output. End all that it started."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**_ENVIRONMENT, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return 1, f"not done after {seconds} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


def _place(name: str) -> str:
    """Return the function that mutmut's name of a mutant means."""
    return name.partition("__mutmut_")[0].rpartition(".")[2][2:].replace("ǁ", ".")


def _changed_lines(diff: str) -> tuple[str, ...]:
    return _tidy([line for line in diff.splitlines() if re.match(r"[-+](?!--|\+\+)", line)])


def _tidy(lines: list[str]) -> tuple[str, ...]:
    return tuple(f"{line[0]} {line[1:].strip()}" for line in lines)


def _other(file: str, target: Target, folder: Path, result: Result) -> None:
    path = folder / _module(file)
    source = path.read_text("utf-8")
    tests = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *target.tests]
    code, output = _run(tests, folder, _TABLE_LIMIT_SECONDS, PYTHONPATH=str(folder))
    if code:
        raise SystemExit(f"the tests fail on unchanged code in {folder}:\n{output[-4000:]}")
    for name, lines, mutated in other_mutants(source, target.on_import):
        path.write_text(mutated, "utf-8")
        code, _ = _run(tests, folder, _TABLE_LIMIT_SECONDS, PYTHONPATH=str(folder))
        if code:
            result.killed += 1
        else:
            result.survivors.append(Survivor(file, name, _tidy(lines)))
    path.write_text(source, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
