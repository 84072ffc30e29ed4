"""Toolchains for the examples: from PATH, or unpacked from Debian's packages into the cache folder."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from userstream_testing.debian_packages import (
    PackageNotFoundError,
    cache_folder,
    dynamic_command,
    unpacked,
)
from userstream_testing.go_toolchain import GoToolchain

__all__ = ["TOOLCHAINS", "PackageNotFoundError"]


def _go() -> dict[str, str]:
    """Return the variables for Go with grpc-go and protoc's plugins."""
    if all(map(shutil.which, ("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc"))):
        return {}
    toolchain = GoToolchain()
    folder = _bin_folder("go")
    toolchain.generators(folder)
    _protoc(folder)
    return toolchain.environment() | _path(folder, toolchain.bin_folder)


def _cpp() -> dict[str, str]:
    """Return the variables for grpc++ of the machine's own release, which its compiler can link with."""
    if not shutil.which("c++"):
        raise PackageNotFoundError("there is no c++ here; Debian's package g++ has it")
    if shutil.which("grpc_cpp_plugin") and _has_library("grpc++"):
        return {}
    packages = ("libgrpc++-dev", "protobuf-compiler", "protobuf-compiler-grpc", "libprotobuf-dev")
    root = unpacked("grpc++", lambda apt: apt.download_with_libraries(packages))
    folder = _bin_folder("cpp")
    _wrap(folder / "protoc", root, "usr/bin/protoc", f"-I{root}/usr/include")
    _wrap(folder / "grpc_cpp_plugin", root, "usr/bin/grpc_cpp_plugin")
    library = next(root.glob("usr/lib/*/libgrpc++.so")).parent
    # pkg-config would list all the libraries of those below; here the linker finds them by itself.
    linking = f"-L{library} -Wl,-rpath,{library} -Wl,--disable-new-dtags,--copy-dt-needed-entries"
    flags = f"-I{root}/usr/include {linking} -lgrpc++ -lgrpc -lgpr -lprotobuf"
    return {"GRPC_FLAGS": flags} | _path(folder)


def _has_library(name: str) -> bool:
    """Say whether pkg-config knows a library."""
    command = ["pkg-config", "--exists", name]
    return bool(shutil.which(command[0])) and subprocess.run(command, check=False).returncode == 0


def _protoc(folder: Path) -> None:
    """Write a `protoc` that runs with its own libraries."""
    packages = ("protobuf-compiler", "libprotobuf-dev")
    root = unpacked("protoc", lambda apt: apt.download_with_libraries(packages))
    _wrap(folder / "protoc", root, "usr/bin/protoc", f"-I{root}/usr/include")


def _wrap(script: Path, root: Path, program: str, *arguments: str) -> None:
    """Write a script that runs an unpacked program with its own libraries."""
    command = " ".join([*dynamic_command(root, program), *arguments])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


def _bin_folder(name: str) -> Path:
    folder = cache_folder() / "toolchains" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _path(*folders: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])}


TOOLCHAINS: dict[str, Callable[[], dict[str, str]]] = {"cpp": _cpp, "go": _go}
"""What each returns: environment variables, none where the machine has the tools. Raises PackageNotFoundError."""
