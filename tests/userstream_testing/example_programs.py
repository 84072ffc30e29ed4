"""The programs in examples/ that read users: how to build and start each, and what it cannot do."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import pytest

from userstream_testing.repository import ROOT
from userstream_testing.toolchains import TOOLCHAINS, PackageNotFoundError

__all__ = ["PROGRAMS", "Program", "ToolMissingError", "programs"]

EXAMPLES = ROOT / "examples"
Command = tuple[str, ...]


class ToolMissingError(RuntimeError):
    """A tool that the program needs is not on this machine; the message names it and what has it."""


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        name: Its folder in examples/.
        prepare: Builds it and returns how to start it. Raises ToolMissingError.
        heavy: Whether it needs a toolchain of its own, so that only scripts/test --long runs it.
        environment: What it needs besides the caller's environment.
        left_out: The scenarios that it cannot follow, each with the reason that its README gives.
    """

    name: str
    prepare: Callable[[], Command]
    heavy: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return EXAMPLES / self.name

    def command(self) -> Command:
        """Return how to start it; skip the test where a tool is missing."""
        try:
            return self.prepare()
        except ToolMissingError as missing:
            pytest.skip(f"examples/{self.name}: {missing}")


def programs(*, slow: bool = False) -> list[object]:
    """Return all programs as parameters; those with a toolchain of their own are marked long.

    Args:
        slow: Whether to mark the others long, too.
    """
    return [
        pytest.param(
            program, id=program.name, marks=[pytest.mark.long] if program.heavy or slow else []
        )
        for program in PROGRAMS
    ]


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if not found:
        raise ToolMissingError(f"there is no {name} here; {package} has it")
    return found


def _python() -> Command:
    return (sys.executable, str(EXAMPLES / "python/users.py"))


def _shell() -> Command:
    for name, package in (
        ("buf", "buf-bin in requirements/dev.txt"),
        ("jq", "Debian's package jq"),
    ):
        _tool(name, package)
    return (str(EXAMPLES / "shell/users.sh"),)


@cache
def _node(name: str, script: str) -> Command:
    """Install the locked packages of an example, once for each lock."""
    folder = EXAMPLES / name
    node, npm = _tool("node", "Node.js 20.15 or newer"), _tool("npm", "Node.js")
    lock = folder.joinpath("package-lock.json").read_text("utf-8")
    installed = folder / "node_modules/.locked"
    if not (installed.exists() and installed.read_text("utf-8") == lock):
        done = _run([npm, "ci", "--no-audit", "--no-fund"], folder, {})
        if done.returncode:
            raise ToolMissingError(f"npm ci failed:\n{done.stderr[-1000:]}")
        installed.write_text(lock, "utf-8")
    if (folder / "tsconfig.json").exists():
        done = _run([npm, "run", "build"], folder, {})
        assert done.returncode == 0, f"examples/{name} does not build:\n{done.stdout[-4000:]}"
    return (node, str(folder / script))


@cache
def _compiled(name: str) -> Command:
    """Build an example with its build.sh, once in each process: the compilers know what is fresh."""
    folder = EXAMPLES / name
    try:
        variables = TOOLCHAINS[name]()
    except PackageNotFoundError as error:
        raise ToolMissingError(str(error)) from None
    done = _run([str(folder / "build.sh")], folder, variables)
    assert done.returncode == 0, f"examples/{name} does not build:\n{done.stderr[-4000:]}"
    return (str(folder / ".build/users"),)


def _run(
    command: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


PROGRAMS = (
    Program(
        "python",
        _python,
        heavy=False,
        environment={"PYTHONPATH": os.pathsep.join([str(ROOT / "protos")])},
    ),
    Program(
        "shell",
        _shell,
        heavy=False,
        left_out={"large-batch": "`buf curl` takes messages of at most 4 MiB"},
    ),
    Program("node-grpc-js", partial(_node, "node-grpc-js", "users.js")),
    Program("connect-node", partial(_node, "connect-node", "dist/users.js")),
    Program("go", partial(_compiled, "go")),
    Program("cpp", partial(_compiled, "cpp")),
    Program("java", partial(_compiled, "java")),
)
