"""What is installed holds all it needs, and the locks hold what pyproject.toml asks for."""

import configparser
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from userstream_server.server_packages import MODULES
from userstream_testing.repository import PROJECT, ROOT

pytestmark = pytest.mark.slow

BASE: list[str] = PROJECT["project"]["dependencies"]
SERVER: list[str] = PROJECT["project"]["optional-dependencies"]["server"]
PIN = re.compile(r"^([\w.-]+)==([\w.!+-]+)", re.MULTILINE)


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group and of those that it includes."""
    found: list[str] = []
    for entry in PROJECT["dependency-groups"][name]:
        found += [entry] if isinstance(entry, str) else group(entry["include-group"])
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from the tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_every_package_and_its_data(wheel: Path) -> None:
    """Packages, type markers, the contract, the SQL and the sample are in the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())

    assert (
        not {
            "userstream/py.typed",
            "userstream/v1/user_service.proto",
            "userstream/v1/user_service_pb2.py",
            "userstream/v1/user_service_pb2.pyi",
            "userstream/v1/user_service_pb2_grpc.py",
            "userstream/v1/user_service_pb2_grpc.pyi",
            "userstream_client/__init__.py",
            "userstream_client/cli/__init__.py",
            "userstream_client/py.typed",
            "userstream/v1/conformance/whole.json",
            "userstream_conformance/__main__.py",
            "userstream_conformance/py.typed",
            "userstream_server/__main__.py",
            "userstream_server/seeding/data/user_data.csv",
            "userstream_server/seeding/schema.sql",
            "userstream_server/seeding/schema_sqlite.sql",
            "userstream_server/py.typed",
        }
        - names
    )


def test_wheel_puts_nothing_generic_into_site_packages(wheel: Path) -> None:
    """Only the four packages and the metadata stand at its top."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    metadata = f"userstream-{PROJECT['project']['version']}.dist-info"

    packages = {"userstream", "userstream_client", "userstream_conformance", "userstream_server"}
    assert packages | {metadata} == tops


def test_wheel_has_the_commands_and_the_licence(wheel: Path) -> None:
    """Its console scripts are these three; the licence comes along."""
    archive = zipfile.ZipFile(wheel)
    metadata = f"userstream-{PROJECT['project']['version']}.dist-info"
    scripts = configparser.ConfigParser()
    scripts.read_string(archive.read(f"{metadata}/entry_points.txt").decode())

    assert {
        "userstream": "userstream_client.cli:main",
        "userstream-conformance": "userstream_conformance.__main__:main",
        "userstream-server": "userstream_server.__main__:main",
    } == dict(scripts["console_scripts"])
    assert f"{metadata}/licenses/LICENSE" in archive.namelist()


def test_client_works_without_the_server_s_packages() -> None:
    """With every module of the `server` extra and the server itself out of reach, the client and its CLI import."""
    blocked = [*{module.split(".")[0] for module in MODULES.values()}, "userstream_server"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import userstream_client, userstream_client.cli, userstream_conformance.__main__\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_every_package_of_the_extra_is_looked_for() -> None:
    """The list behind the message names the packages of the extra `server`."""
    assert {canonicalize_name(Requirement(text).name) for text in SERVER} == MODULES.keys()


# Refuses to find the modules of some packages, as if they were not installed.
_WITHOUT = """
import importlib, runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {gone!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
module, colon, function = {start!r}.partition(":")
if colon:
    getattr(importlib.import_module(module), function)()
else:
    runpy.run_module(module, run_name="__main__")
"""
COMMANDS = [c for c in PROJECT["project"]["scripts"].values() if c.startswith("userstream_server")]


@pytest.mark.parametrize("start", ["userstream_server", *COMMANDS])
@pytest.mark.parametrize("package", ["all", *MODULES])
def test_a_server_without_its_packages_says_what_to_install(start: str, package: str) -> None:
    """Whichever package of the extra is missing: exit code 2 and one line, no traceback."""
    modules = [*MODULES.values()] if package == "all" else [MODULES[package]]
    gone = {module.split(".")[0] for module in modules}
    program = _WITHOUT.format(gone=gone, start=start)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )

    assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert done.stderr.startswith("userstream-server: not installed: ")
    assert done.stderr.endswith("pip install 'userstream[server]'\n")
    assert package in {"all", *done.stderr.split(": ")[2].split(".")[0].split(", ")}


@pytest.mark.long
def test_installed_client_runs(wheel: Path, tmp_path: Path) -> None:
    """In a new environment with the wheel and the base dependencies alone, `userstream --version` answers.

    `userstream-server` says what to install.
    """
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", str(wheel)], check=True)
    command = [str(tmp_path / "venv/bin/userstream"), "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert f"userstream {PROJECT['project']['version']}\n" == done.stdout

    server = [str(tmp_path / "venv/bin/userstream-server")]
    refused = subprocess.run(server, capture_output=True, text=True, check=False)

    assert 2 == refused.returncode
    assert refused.stderr.endswith("pip install 'userstream[server]'\n")


def pins(lock: str) -> set[tuple[str, str]]:
    """Return the names and versions in a lock; a package may have several, for several Pythons."""
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    return {(canonicalize_name(name), version) for name, version in PIN.findall(text)}


def test_dependencies_are_ranges() -> None:
    """A library that pins nothing installs beside others; exact versions stand in requirements/."""
    assert [] == [
        text
        for text in BASE + SERVER
        if any(c.operator == "==" for c in Requirement(text).specifier)
    ]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("runtime.txt", BASE + SERVER + group("build")),
        ("dev.txt", BASE + SERVER + group("dev")),
        ("oldest.txt", BASE + SERVER + group("test")),
        ("docs.txt", group("docs")),
        ("generate.txt", group("generate")),
    ],
    ids=["runtime", "dev", "oldest", "docs", "generate"],
)
def test_lock_meets_the_project_s_requirements(lock: str, wanted: list[str]) -> None:
    """Each requirement of pyproject.toml is pinned to a version that it allows."""
    pinned = pins(lock)

    assert [] == [
        str(requirement)
        for requirement in map(Requirement, wanted)
        if not any(
            canonicalize_name(requirement.name) == name and version in requirement.specifier
            for name, version in pinned
        )
    ]


def test_the_oldest_versions_are_tested() -> None:
    """The lock of scripts/test --oldest holds the lower bound of each dependency."""
    pinned = {(name, Version(version)) for name, version in pins("oldest.txt")}
    oldest = {
        (canonicalize_name(requirement.name), Version(clause.version))
        for requirement in map(Requirement, BASE + SERVER)
        for clause in requirement.specifier
        if clause.operator == ">="
    }

    assert set() == oldest - pinned


def test_runtime_lock_is_part_of_the_development_lock() -> None:
    """What scripts/demo installs, scripts/test has in the same versions."""
    assert pins("runtime.txt") <= pins("dev.txt")


@pytest.mark.parametrize(
    "lock", ["runtime.txt", "dev.txt", "oldest.txt", "docs.txt", "generate.txt"]
)
def test_lock_names_versions_and_hashes_only(lock: str) -> None:
    """No line of a lock says where a package comes from."""
    lines = (ROOT / "requirements" / lock).read_text("utf-8").splitlines()
    allowed = re.compile(r"[\w.-]+==\S+( ; [^\\]+)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?")

    assert [] == [line for line in lines if not allowed.fullmatch(line)]
