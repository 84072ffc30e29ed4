"""Toolchains for the examples: from PATH, or unpacked from Debian's packages into the cache folder."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from userstream_testing.debian_packages import (
    Apt,
    PackageNotFoundError,
    cache_folder,
    dynamic_command,
    unpacked,
)
from userstream_testing.go_toolchain import GoToolchain

__all__ = ["TOOLCHAINS", "PackageNotFoundError"]

_JAVA = (
    "libgeronimo-annotation-1.3-spec-java",
    "libgrpc-java",
    "libguava-java",
    "libnetty-java",
    "libperfmark-java",
    "libprotobuf-dev",
    "libprotobuf-java",
    "protobuf-compiler",
    "protobuf-compiler-grpc-java-plugin",
)


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


def _java() -> dict[str, str]:
    """Return the variables for grpc-java, with its jars and protoc's plugin."""
    if not shutil.which("javac"):
        raise PackageNotFoundError("there is no javac here; Debian's package default-jdk has it")
    if shutil.which("grpc_java_plugin") and Path("/usr/share/java/grpc-netty.jar").exists():
        return {}
    root = unpacked("grpc-java", _fetch_java)
    folder = _bin_folder("java")
    _wrap(folder / "protoc", root, "usr/bin/protoc", f"-I{root}/usr/include")
    _wrap(folder / "grpc_java_plugin", root, "usr/bin/grpc_java_plugin")
    native = next(root.glob("usr/lib/*/jni"))
    return {"GRPC_JARS": f"{root}/usr/share/java", "GRPC_JNI": str(native)} | _path(folder)


def _fetch_java(apt: Apt) -> None:
    apt.download_with_libraries(_JAVA)
    # By themselves: the machine has a JDK and OpenSSL.
    apt.download(("libapr1", "libnetty-tcnative-java", "libnetty-tcnative-jni"))


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


TOOLCHAINS: dict[str, Callable[[], dict[str, str]]] = {"cpp": _cpp, "go": _go, "java": _java}
"""What each returns: environment variables, none where the machine has the tools. Raises PackageNotFoundError."""
