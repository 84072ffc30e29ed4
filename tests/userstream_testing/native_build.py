"""The build of native_rows.c, for tests that compile it in ways of their own."""

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from userstream_testing.repository import ROOT

__all__ = ["COMPILER", "SOURCE", "compile_library", "load_builder", "needs_compiler"]

COMPILER = shutil.which(os.environ.get("CC", "cc"))
SOURCE = ROOT / "server/userstream_server/databases/mysql/native_rows.c"
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no compiler here")


def load_builder() -> ModuleType:
    """Return scripts/build_native.py as a module."""
    spec = importlib.util.spec_from_file_location("build_native", ROOT / "scripts/build_native.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compile_library(library: Path, *options: str) -> None:
    """Compile native_rows.c with more options for the compiler; an error of it fails the test."""
    assert not load_builder().compile_library(SOURCE, library, *options)
