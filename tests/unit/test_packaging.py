"""What is installed holds all it needs, and the locks hold what pyproject.toml asks for."""

import configparser
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from userstream_testing.repository import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BASE: list[str] = PROJECT["project"]["dependencies"]
SERVER: list[str] = PROJECT["project"]["optional-dependencies"]["server"]
BUILD: list[str] = PROJECT["dependency-groups"]["build"]
DEV = [text for text in PROJECT["dependency-groups"]["dev"] if isinstance(text, str)]
PIN = re.compile(r"^([\w.-]+)==([\w.!+-]+)", re.MULTILINE)

SERVER_ONLY = (
    "grpc_reflection",
    "mysql",
    "opentelemetry",
    "structlog",
)
"""Modules of the `server` extra."""


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
            "userstream_server/__main__.py",
            "userstream_server/seeding/data/user_data.csv",
            "userstream_server/seeding/schema.sql",
            "userstream_server/seeding/schema_sqlite.sql",
            "userstream_server/py.typed",
        }
        - names
    )


def test_wheel_puts_nothing_generic_into_site_packages(wheel: Path) -> None:
    """Only the three packages and the metadata stand at its top."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    metadata = f"userstream-{PROJECT['project']['version']}.dist-info"

    assert {"userstream", "userstream_client", "userstream_server", metadata} == tops


def test_wheel_has_both_commands_and_the_licence(wheel: Path) -> None:
    """`userstream` and `userstream-server` are its console scripts; the licence comes along."""
    archive = zipfile.ZipFile(wheel)
    metadata = f"userstream-{PROJECT['project']['version']}.dist-info"
    scripts = configparser.ConfigParser()
    scripts.read_string(archive.read(f"{metadata}/entry_points.txt").decode())

    assert {
        "userstream": "userstream_client.cli:main",
        "userstream-server": "userstream_server.__main__:main",
    } == dict(scripts["console_scripts"])
    assert f"{metadata}/licenses/LICENSE" in archive.namelist()


def test_client_works_without_the_server_s_packages() -> None:
    """With every module of the `server` extra and the server itself out of reach, the client and its CLI import."""
    blocked = [*SERVER_ONLY, "userstream_server"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import userstream_client, userstream_client.cli\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.long
def test_installed_client_runs(wheel: Path, tmp_path: Path) -> None:
    """In a new environment with the wheel and the base dependencies alone, `userstream --version` answers."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", str(wheel)], check=True)
    command = [str(tmp_path / "venv/bin/userstream"), "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert f"userstream {PROJECT['project']['version']}\n" == done.stdout


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    return {canonicalize_name(name): version for name, version in PIN.findall(text)}


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("runtime.txt", BASE + SERVER + BUILD), ("dev.txt", BASE + SERVER + BUILD + DEV)],
    ids=["runtime", "dev"],
)
def test_lock_meets_the_project_s_requirements(lock: str, wanted: list[str]) -> None:
    """Each requirement of pyproject.toml is pinned to a version that it allows."""
    pinned = pins(lock)
    requirements = [Requirement(text) for text in wanted]

    assert [] == [
        str(requirement)
        for requirement in requirements
        if pinned.get(canonicalize_name(requirement.name), "") not in requirement.specifier
    ]


def test_runtime_lock_is_part_of_the_development_lock() -> None:
    """What scripts/demo installs, scripts/test has in the same versions."""
    assert pins("runtime.txt").items() <= pins("dev.txt").items()


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt"])
def test_lock_names_versions_and_hashes_only(lock: str) -> None:
    """No line of a lock says where a package comes from."""
    lines = (ROOT / "requirements" / lock).read_text("utf-8").splitlines()
    allowed = re.compile(r"[\w.-]+==\S+( ; [^\\]+)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?")

    assert [] == [line for line in lines if not allowed.fullmatch(line)]
