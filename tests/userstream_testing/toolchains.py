"""Toolchains for the examples: from PATH, or unpacked from Debian's packages into the cache folder."""

import os
import shutil
import stat
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


def _protoc(folder: Path) -> None:
    """Write a `protoc` that runs the newest one with its own libraries."""
    package = unpacked(
        "protoc",
        lambda apt: apt.download_with_libraries(("protobuf-compiler", "libprotobuf-dev")),
        suite="sid",
    )
    command = " ".join(dynamic_command(package, "usr/bin/protoc"))
    script = folder / "protoc"
    script.write_text(f'#!/bin/sh\nexec {command} -I{package}/usr/include "$@"\n', "utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


def _bin_folder(name: str) -> Path:
    folder = cache_folder() / "toolchains" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _path(*folders: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])}


TOOLCHAINS: dict[str, Callable[[], dict[str, str]]] = {"go": _go}
"""What each returns: environment variables, none where the machine has the tools. Raises PackageNotFoundError."""
