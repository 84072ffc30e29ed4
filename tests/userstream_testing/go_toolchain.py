"""Go with grpc-go from Debian's newest packages, in the cache folder; nothing is installed."""

import gzip
import os
import re
import subprocess
from pathlib import Path

from userstream_testing.debian_packages import Apt, PackageNotFoundError, cache_folder, unpacked

__all__ = ["GoToolchain"]

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


class GoToolchain:
    """Go, whose libraries lie as a GOPATH.

    Attributes:
        bin_folder: Where `go` is.

    Raises:
        PackageNotFoundError: Go or a library is not to be had here.
    """

    def __init__(self) -> None:
        """Fetch the packages on first use."""
        folder = unpacked("go", _fetch, suite="sid")
        self._changelogs = folder / "usr/share/doc"
        self._libraries = folder / "usr/share/gocode"
        self._go_root = next(folder.glob("usr/lib/go-*"))
        self.bin_folder = self._go_root / "bin"

    def environment(self, gopath: Path | None = None) -> dict[str, str]:
        """Return the variables that `go` needs.

        Args:
            gopath: A folder of further sources, which comes first.
        """
        paths = [*([str(gopath)] if gopath else []), str(self._libraries)]
        return {
            "GOROOT": str(self._go_root),
            "GOPATH": ":".join(paths),
            "GOCACHE": str(cache_folder() / "gocache"),
            "GO111MODULE": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-buildvcs=false",
            # Static programs run on any release.
            "CGO_ENABLED": "0",
        }

    def build(self, package: str, output: Path, *, folder: Path, gopath: Path | None) -> None:
        """Build one program.

        Args:
            package: As `go build` takes it.
            output: The program.
            folder: Where to build it.
            gopath: A folder of further sources.
        """
        command = [str(self.bin_folder / "go"), "build", "-o", str(output), package]
        environment = {**os.environ, **self.environment(gopath)}
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise PackageNotFoundError(f"go build {package} failed:\n{done.stderr[-2000:]}")

    def generators(self, folder: Path) -> list[Path]:
        """Build protoc's plugins for Go into a folder; return them."""
        for name, package in _GENERATORS.items():
            self.build(package, folder / name, folder=self._go_root, gopath=None)
        return [folder / name for name in _GENERATORS]

    def version(self) -> str:
        """Return Go's own version."""
        return (self._go_root / "VERSION").read_text(encoding="utf-8").split()[0]

    def version_of(self, package: str) -> str:
        """Return a library's version, without Debian's own part, from the changelog that it carries."""
        changelog_file = self._changelogs / package / "changelog.Debian.gz"
        with gzip.open(changelog_file, "rt", encoding="utf-8") as changelog:
            found = re.search(r"\(([\d.]+)", changelog.readline())
        return found[1] if found else "of unknown version"


def _fetch(apt: Apt) -> None:
    compiler = apt.depends("golang-go", r"golang-[\d.]+-go\b")
    apt.download((compiler, compiler.removesuffix("-go") + "-src", *_LIBRARIES))
