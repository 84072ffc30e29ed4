"""Where the repository is, and how to work on a copy of its parts."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["PROJECT", "ROOT", "copy_of", "run_script"]

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
"""What pyproject.toml says."""


def copy_of(folder: Path, *names: str) -> Path:
    """Copy files and folders of the repository's top level into `folder`, and return it."""
    for name in names:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return folder


def run_script(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the repository at `root` in the tests' own environment."""
    script, *arguments = command
    return subprocess.run(
        [str(root / script), *arguments],
        env={**os.environ, "USERSTREAM_VENV": sys.prefix},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
