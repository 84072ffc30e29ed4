"""The packages of a release: one wheel with the C row reader, one for every system, and both work."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.command import clean_environment
from userstream_testing.repository import ROOT, run_script

LIBRARY = "userstream_server/databases/mysql/libnative_rows.so"
MANYLINUX = re.compile(r"-py3-none-manylinux2014_(\w+)\.manylinux_2_17_\1\.whl$")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="manylinux wheels are built on Linux"),
    pytest.mark.skipif(
        not shutil.which(os.environ.get("CC", "cc")), reason="there is no compiler here"
    ),
    pytest.mark.skipif(
        not Path(sys.prefix, "bin/auditwheel").exists(), reason="auditwheel is not installed here"
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that scripts/wheels filled."""
    folder = tmp_path_factory.mktemp("packages")
    done = run_script(ROOT, "scripts/wheels", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pure(built: Path) -> Path:
    """Return the wheel for every system."""
    (wheel,) = built.glob("*-py3-none-any.whl")
    return wheel


@pytest.fixture(scope="module")
def compiled(built: Path) -> Path:
    """Return the wheel with the C row reader."""
    (wheel,) = built.glob("*manylinux*.whl")
    return wheel


def content(wheel: Path) -> dict[str, bytes]:
    """Return a wheel's files without its metadata, and without folders, which only auditwheel lists."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if ".dist-info/" not in name and not name.endswith("/")
        }


def metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        return archive.read(name).decode()


def test_the_compiled_wheel_runs_on_any_linux_since_2014(compiled: Path) -> None:
    """Its library needs nothing but libc, and no function of it that is newer than glibc 2.17."""
    assert MANYLINUX.search(compiled.name)
    tags = re.findall(r"^Tag: (.+)$", metadata(compiled), re.MULTILINE)

    assert [True, True] == [tag.startswith("py3-none-manylinux") for tag in tags]
    assert "Root-Is-Purelib: false" in metadata(compiled)


def test_the_pure_wheel_is_for_every_system(pure: Path) -> None:
    """Its metadata say so too."""
    assert "Tag: py3-none-any" in metadata(pure)
    assert "Root-Is-Purelib: true" in metadata(pure)


def test_the_wheels_differ_by_the_library_alone(pure: Path, compiled: Path) -> None:
    """Nobody gets other code; no library of the system was copied in."""
    without, with_library = content(pure), content(compiled)

    assert {LIBRARY} == with_library.keys() - without.keys()
    assert without == {name: with_library[name] for name in without}


def test_the_source_archive_holds_what_builds_it(built: Path) -> None:
    """The C source, the build hook and the generated stubs."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {
        "pyproject.toml",
        "scripts/build_native.py",
        "server/userstream_server/databases/mysql/native_rows.c",
        "protos/userstream/v1/user_service_pb2.py",
    } <= names
    assert not [name for name in names if name.endswith(".so")]


def test_ci_builds_for_both_kinds_of_processor() -> None:
    """The workflow runs the same script on x86-64 and on arm64."""
    jobs = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    packages = jobs[jobs.index("\n  packages:") :]

    assert "run: scripts/wheels" in packages
    assert {"ubuntu-latest", "ubuntu-24.04-arm"} == set(re.findall(r"runner: (\S+)", packages))


@pytest.mark.parametrize(("kind", "encoder"), [("pure", "Python"), ("compiled", "C")])
def test_each_wheel_serves_mysql(
    kind: str,
    encoder: str,
    mysql_database: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """`--check` with the unpacked wheel connects, finds the table, and says how rows are encoded."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 10)
    shutil.unpack_archive(request.getfixturevalue(kind), tmp_path, "zip")
    settings = {"PYTHONPATH": str(tmp_path), "USERSTREAM_DATABASE_URL": mysql_database}
    done = subprocess.run(
        [sys.executable, "-m", "userstream_server", "--check"],
        env=clean_environment(**settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert f"rows encoded in {encoder}" in done.stdout
