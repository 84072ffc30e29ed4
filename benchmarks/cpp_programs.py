"""Building the contestants in C++ and the reader in C with the machine's compiler and Debian's newest libraries."""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from userstream_testing.debian_packages import (
    Apt,
    PackageNotFoundError,
    dynamic_command,
    unpacked,
)

__all__ = ["CppPrograms", "build_cpp_programs"]

_ROOT = Path(__file__).resolve().parent.parent
_BUILD = _ROOT / "benchmarks/.build/cpp"
_SOURCES = _ROOT / "benchmarks/contestants/cpp"
_PROTO = "userstream/v1/user_service.proto"
_PACKAGES = ("libgrpc++-dev", "libmariadb-dev", "protobuf-compiler-grpc")
# The C library's own headers stay out: they must fit the machine's compiler.
_HEADERS = ("absl", "google", "grpc", "grpcpp", "mariadb", "zconf.h", "zlib.h")
_C_LIBRARIES = ("libmariadb.so", "libz.so")
_CPP_LIBRARIES = ("libgrpc++.so", "libgrpc.so", "libgpr.so", "libprotobuf.so", "libabsl_*.so")
_OPTIONS = ("-O2", f"-I{_BUILD}", f"-isystem{_BUILD}/include", f"-isystem{_BUILD}/include/mariadb")


@dataclass(frozen=True, slots=True)
class CppPrograms:
    """The built programs: how to start each.

    Attributes:
        server: The contestant as one would write it.
        tuned_server: The contestant tuned by hand.
        reader: Reads the table only.
        environment: Variables that all of them need.
        versions: What they were built with.
    """

    server: tuple[str, ...]
    tuned_server: tuple[str, ...]
    reader: tuple[str, ...]
    environment: dict[str, str]
    versions: str


def build_cpp_programs() -> CppPrograms:
    """Build all programs, quickly when nothing has changed.

    Raises:
        PackageNotFoundError: A compiler or a library is not to be had here.
    """
    if not shutil.which("g++") or not shutil.which("gcc"):
        raise PackageNotFoundError("There is no g++ here.")
    libraries = _Libraries(unpacked("cpp", _fetch, suite="sid"))
    state = _state(libraries)
    built = _BUILD / "built"
    if not built.exists() or built.read_text(encoding="ascii") != state:
        _build(libraries)
        built.write_text(state, encoding="ascii")
    commands = (libraries.command(_BUILD / name) for name in ("server", "tuned_server", "reader"))
    server, tuned_server, reader = commands
    environment = {"MARIADB_PLUGIN_DIR": str(libraries.folder / "libmariadb3/plugin")}
    return CppPrograms(server, tuned_server, reader, environment, libraries.versions())


def _fetch(apt: Apt) -> None:
    apt.download_with_libraries(_PACKAGES)


class _Libraries:
    """Debian's packages, unpacked.

    Args:
        root: The folder that holds them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def folder(self) -> Path:
        """Where the libraries themselves are."""
        return next(self.root.glob("usr/lib/*-linux-gnu*/libgrpc++.so")).parent

    def command(self, program: Path) -> tuple[str, ...]:
        """Return how to start a program with these libraries."""
        return dynamic_command(self.root, str(program))

    def paths(self, names: Sequence[str]) -> Iterator[str]:
        """Find libraries by name or pattern."""
        for name in names:
            yield from (str(path) for path in sorted(self.folder.glob(name)))

    def headers(self) -> Iterator[Path]:
        """Yield what is to be included from, files and folders."""
        yield from (self.root / "usr/include" / name for name in _HEADERS)
        # The one header that differs between machines.
        yield from self.root.glob("usr/include/*-linux-gnu*/mariadb_version_arch.h")

    def versions(self) -> str:
        """Name the versions that matter, with the compiler's."""
        done = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, check=True)
        compiler = done.stdout.decode("ascii").strip()
        grpc, mariadb = map(self._version_of, ("libgrpc++-dev", "libmariadb-dev"))
        return f"g++ {compiler}, grpc++ {grpc}, libmariadb {mariadb}"

    def _version_of(self, package: str) -> str:
        changelog_file = self.root / "usr/share/doc" / package / "changelog.Debian.gz"
        with gzip.open(changelog_file, "rt", encoding="utf-8") as changelog:
            found = re.search(r"\((?:\d+:)?([\d.]+)", changelog.readline())
        return found[1] if found else "of unknown version"


def _state(libraries: _Libraries) -> str:
    """Return a checksum of all that goes into the programs."""
    digest = hashlib.sha256(f"{libraries.root} {libraries.versions()}".encode())
    for path in (Path(__file__), _ROOT / "protos" / _PROTO, *sorted(_SOURCES.iterdir())):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _build(libraries: _Libraries) -> None:
    shutil.rmtree(_BUILD, ignore_errors=True)
    include = _BUILD / "include"
    include.mkdir(parents=True)
    for header in libraries.headers():
        (include / header.name).symlink_to(header)
    _compile("gcc", [_SOURCES / "reader.c"], "reader", [*libraries.paths(_C_LIBRARIES)])
    generated = [_object(path) for path in _generate(libraries)]
    linked = [*libraries.paths((*_CPP_LIBRARIES, *_C_LIBRARIES))]
    for name in ("server", "tuned_server"):
        _compile("g++", [_SOURCES / f"{name}.cc", *generated], name, linked)


def _generate(libraries: _Libraries) -> list[Path]:
    """Write the C++ side of the proto, which is never committed."""
    plugin = _BUILD / "grpc_cpp_plugin"
    plugin_command = " ".join(libraries.command(libraries.root / "usr/bin/grpc_cpp_plugin"))
    plugin.write_text(f'#!/bin/sh\nexec {plugin_command} "$@"\n', encoding="utf-8")
    plugin.chmod(0o755)
    command = libraries.command(libraries.root / "usr/bin/protoc")
    includes = (f"-I{_ROOT}/protos", f"-I{libraries.root}/usr/include")
    outputs = (f"--cpp_out={_BUILD}", f"--grpc_out={_BUILD}", f"--plugin=protoc-gen-grpc={plugin}")
    _run([*command, *includes, *outputs, _PROTO])
    return sorted((_BUILD / _PROTO).parent.glob("*.cc"))


def _object(source: Path) -> Path:
    target = source.with_suffix(".o")
    _run(["g++", "-std=c++17", *_OPTIONS, "-c", str(source), "-o", str(target)])
    return target


def _compile(compiler: str, sources: Sequence[Path], name: str, linked: Sequence[str]) -> None:
    dialect = "-std=c++17" if compiler == "g++" else "-std=gnu11"
    # The libraries want a newer C library than the machine's; the program starts with theirs.
    link = ("-Wl,--as-needed", "-Wl,--allow-shlib-undefined", "-pthread")
    parts = [dialect, *_OPTIONS, "-Wall", "-Wextra", *map(str, sources), *link, *linked]
    _run([compiler, *parts, "-o", str(_BUILD / name)])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageNotFoundError(f"{Path(command[0]).name} failed:\n{done.stderr[-2000:]}")
