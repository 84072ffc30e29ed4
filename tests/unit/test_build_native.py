"""The native part is built where there is a compiler, and its absence breaks nothing."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from userstream_server.databases.mysql.native_library import load_library
from userstream_testing.native_build import COMPILER, SOURCE, load_builder, needs_compiler
from userstream_testing.repository import ROOT

pytestmark = pytest.mark.slow  # compiles and builds packages

USERS_SOURCE = ROOT / "client/userstream_client/native_users.c"


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """Return scripts/build_native.py as a module."""
    return load_builder()


def wheel(folder: Path, **environment: str) -> Path:
    """Build a wheel from a copy of the tree."""
    tree = folder / "tree"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "*.so", ".build")
    shutil.copytree(ROOT, tree, ignore=ignored)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(
        command, cwd=tree, check=True, capture_output=True, env={**os.environ, **environment}
    )
    (built,) = folder.glob("*.whl")
    return built


@needs_compiler
def test_a_wheel_holds_the_library(tmp_path: Path) -> None:
    """It is then for this system, and for any Python."""
    built = wheel(tmp_path)
    names = zipfile.ZipFile(built).namelist()

    assert "userstream_server/databases/mysql/libnative_rows.so" in names
    assert "userstream_client/libnative_users.so" in names
    assert "-py3-none-" in built.name
    assert not built.name.endswith("-any.whl")


@pytest.mark.parametrize(
    "environment", [{"CC": "no-such-compiler"}, {"HATCH_BUILD_NO_HOOKS": "true"}]
)
def test_a_wheel_without_it_is_for_every_system(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Without a compiler, or if told so, the package is pure Python."""
    built = wheel(tmp_path, **environment)

    assert built.name.endswith("-py3-none-any.whl")
    assert not [n for n in zipfile.ZipFile(built).namelist() if n.endswith(".so")]


@needs_compiler
def test_what_does_not_compile_leaves_nothing(builder: ModuleType, tmp_path: Path) -> None:
    """The problem is told, and neither a library nor a temporary file stays."""
    source = tmp_path / "wrong.c"
    source.write_text("int f(void) { return }\n")

    assert "error" in builder.compile_library(source, tmp_path / "wrong.so")
    assert [source] == list(tmp_path.iterdir())


@needs_compiler
def test_a_library_of_another_version_is_not_used(builder: ModuleType, tmp_path: Path) -> None:
    """What was left from before an update is not called by today's code."""
    source, library = tmp_path / "old.c", tmp_path / "old.so"
    source.write_text(SOURCE.read_text().replace("#define INTERFACE ", "#define INTERFACE 1000 + "))

    assert not builder.compile_library(source, library)
    assert load_library(library) is None


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other linkers")
def test_the_library_is_hardened(builder: ModuleType, tmp_path: Path) -> None:
    """Its functions check their stack, and all addresses are resolved when it is loaded, then read-only."""
    if not shutil.which("readelf"):
        pytest.skip("readelf (binutils) is not installed here")
    library = tmp_path / "hardened.so"

    assert not builder.compile_library(SOURCE, library)
    shown = subprocess.check_output(["readelf", "-Wdls", "--dyn-syms", str(library)], text=True)
    assert "BIND_NOW" in shown
    assert "GNU_RELRO" in shown
    assert "__stack_chk_fail" in shown


@needs_compiler
@pytest.mark.parametrize(
    ("source", "variable", "tests"),
    [
        (SOURCE, "NATIVE_ROWS_LIBRARY", "tests/unit/test_native_rows.py"),
        (USERS_SOURCE, "NATIVE_USERS_LIBRARY", "tests/unit/test_native_users.py"),
    ],
    ids=["rows", "users"],
)
def test_under_sanitizers(
    builder: ModuleType, tmp_path: Path, source: Path, variable: str, tests: str
) -> None:
    """The tests of a C file pass in a library that watches each access to memory and each undefined operation."""
    assert COMPILER is not None
    library = tmp_path / "watched.so"
    # Fortified functions would hide what the sanitizers look for.
    options = (
        "-g",
        "-U_FORTIFY_SOURCE",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    )
    if problem := builder.compile_library(source, library, *options):
        pytest.skip(f"this compiler has no sanitizers: {problem}")
    runtime = subprocess.check_output([COMPILER, "-print-file-name=libasan.so"], text=True).strip()
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own, at its end
        "PYTHONMALLOC": "malloc",
        variable: str(library),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
