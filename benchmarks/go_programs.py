"""Building the Go contestant and the Go consumer, with a Go toolchain of our own where there is none newer."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from userstream_testing.go_toolchain import GoToolchain

__all__ = ["GoPrograms", "build_go_programs"]

_ROOT = Path(__file__).resolve().parent.parent
_BUILD = _ROOT / "benchmarks/.build"
_SOURCES = _ROOT / "benchmarks/contestants/go"
_PROTO = "userstream/v1/user_service.proto"


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
    toolchain = GoToolchain()
    bin_folder, gopath = _BUILD / "bin", _BUILD / "gopath"
    _generate(gopath / "src", toolchain.generators(bin_folder))
    for name in ("server", "client"):
        toolchain.build(f"./{name}", bin_folder / f"go-{name}", folder=_SOURCES, gopath=gopath)
    return GoPrograms(bin_folder / "go-server", bin_folder / "go-client", _versions(toolchain))


def _generate(target: Path, plugins: list[Path]) -> None:
    """Write the Go side of the proto, beside the programs: it is never stale and never committed."""
    target.mkdir(parents=True, exist_ok=True)
    options = [f"--plugin={plugin.name}={plugin}" for plugin in plugins]
    outputs = [f"--go_out={target}", f"--go-grpc_out={target}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=protos"]
    # scripts/_environment installs the generator beside the locked packages.
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.prefix, "generator"))}
    subprocess.run([*command, *options, *outputs, _PROTO], cwd=_ROOT, env=environment, check=True)


def _versions(toolchain: GoToolchain) -> str:
    """Name the versions that matter."""
    grpc = toolchain.version_of("golang-google-grpc-dev")
    driver = toolchain.version_of("golang-github-go-sql-driver-mysql-dev")
    go = toolchain.version().replace("go", "Go ")
    return f"{go}, grpc-go {grpc}, go-sql-driver/mysql {driver}"
