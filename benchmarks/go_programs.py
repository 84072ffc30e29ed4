"""Building the Go contestant and the Go consumer, with a Go toolchain of our own where there is none newer."""

import gzip
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from userstream_testing.debian_packages import Apt, PackageNotFoundError, unpacked

__all__ = ["GoPrograms", "build_go_programs"]

_ROOT = Path(__file__).resolve().parent.parent
_BUILD = _ROOT / "benchmarks/.build"
_SOURCES = _ROOT / "benchmarks/contestants/go"
_PROTO = "userstream/v1/user_service.proto"
_LIBRARIES = (
    "golang-filippo-edwards25519-dev",
    "golang-github-go-sql-driver-mysql-dev",
    "golang-github-golang-protobuf-1-5-dev",
    "golang-golang-x-net-dev",
    "golang-golang-x-sys-dev",
    "golang-golang-x-text-dev",
    "golang-google-genproto-dev",
    "golang-google-grpc-dev",
    "golang-google-protobuf-dev",
)
_GENERATORS = {
    "protoc-gen-go": "google.golang.org/protobuf/cmd/protoc-gen-go",
    "protoc-gen-go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
}


@dataclass(frozen=True, slots=True)
class GoPrograms:
    """The built programs.

    Attributes:
        server: The contestant.
        client: The consumer used for all contestants.
        versions: What they were built with.
    """

    server: Path
    client: Path
    versions: str


def build_go_programs() -> GoPrograms:
    """Build both programs, quickly when nothing has changed.

    Raises:
        PackageNotFoundError: Go or a library is not to be had here.
    """
    folder = unpacked("go", _fetch, suite="sid")
    toolchain = _Toolchain(folder)
    for name, package in _GENERATORS.items():
        toolchain.build(package, _BUILD / "bin" / name)
    _generate()
    for name in ("server", "client"):
        toolchain.build(f"./{name}", _BUILD / "bin" / f"go-{name}")
    bin_folder = _BUILD / "bin"
    return GoPrograms(bin_folder / "go-server", bin_folder / "go-client", toolchain.versions())


def _fetch(apt: Apt) -> None:
    compiler = apt.depends("golang-go", r"golang-[\d.]+-go\b")
    apt.download((compiler, compiler.removesuffix("-go") + "-src", *_LIBRARIES))


def _generate() -> None:
    """Write the Go side of the proto, beside the programs: it is never stale and never committed."""
    target = _BUILD / "gopath/src"
    target.mkdir(parents=True, exist_ok=True)
    plugins = [f"--plugin={name}={_BUILD / 'bin' / name}" for name in _GENERATORS]
    outputs = [f"--go_out={target}", f"--go-grpc_out={target}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=protos"]
    # scripts/_environment installs the generator beside the locked packages.
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.prefix, "generator"))}
    subprocess.run([*command, *plugins, *outputs, _PROTO], cwd=_ROOT, env=environment, check=True)


class _Toolchain:
    """Go from a folder of unpacked packages, whose libraries lie as a GOPATH."""

    def __init__(self, folder: Path) -> None:
        self._libraries = folder / "usr/share/gocode"
        self._changelogs = folder / "usr/share/doc"
        self._go_root = next(folder.glob("usr/lib/go-*"))
        self._environment = {
            **os.environ,
            "GOROOT": str(self._go_root),
            "GOPATH": f"{_BUILD / 'gopath'}:{self._libraries}",
            "GOCACHE": str(_BUILD / "gocache"),
            "GO111MODULE": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-buildvcs=false",
            # Static programs run on any release.
            "CGO_ENABLED": "0",
        }

    def build(self, package: str, output: Path) -> None:
        """Build one program."""
        command = [str(self._go_root / "bin/go"), "build", "-o", str(output), package]
        done = subprocess.run(
            command,
            env=self._environment,
            cwd=_SOURCES,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PackageNotFoundError(f"go build {package} failed:\n{done.stderr[-2000:]}")

    def versions(self) -> str:
        """Name the versions that matter."""
        go = (self._go_root / "VERSION").read_text(encoding="utf-8").split()[0]
        grpc = _package_version(self._changelogs / "golang-google-grpc-dev")
        driver = _package_version(self._changelogs / "golang-github-go-sql-driver-mysql-dev")
        return f"{go.replace('go', 'Go ')}, grpc-go {grpc}, go-sql-driver/mysql {driver}"


def _package_version(folder: Path) -> str:
    """Read a package's version, without Debian's own part, from the changelog it carries."""
    with gzip.open(folder / "changelog.Debian.gz", "rt", encoding="utf-8") as changelog:
        found = re.search(r"\(([\d.]+)", changelog.readline())
    return found[1] if found else "of unknown version"
