"""The programs in examples/ that read users: how to build and start each, and what it cannot do."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from userstream_testing.repository import ROOT

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
)
