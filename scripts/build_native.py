"""Compile the C files, each beside its source, whenever the package is built or installed.

Hatchling runs this. Without a compiler the package is built all the same, for any system, and does the work of
these files in Python. `CC` names the compiler; HATCH_BUILD_NO_HOOKS=true builds without.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = (
    Path("server/userstream_server/databases/mysql/native_rows.c"),
    Path("client/userstream_client/native_users.c"),
)
# A smashed stack ends the process, and the addresses of functions cannot be overwritten once the library is loaded.
HARDENING = ("-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2")
# The linker of macOS must be told that the interpreter provides functions; it does not know the other options.
LINKING = {"linux": ("-Wl,-z,relro,-z,now",), "darwin": ("-undefined", "dynamic_lookup")}.get(
    sys.platform, ()
)
OPTIONS = ("-O2", "-std=c11", "-shared", "-fPIC", *HARDENING, *LINKING)


class NativeBuildHook(BuildHookInterface[Any]):
    """Adds the libraries to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Compile, and say for which system the wheel is then."""
        if self.target_name != "wheel":
            return
        for source in SOURCES:
            library = library_of(Path(self.root) / source)
            if problem := compile_library(Path(self.root) / source, library):
                self.app.display_warning(f"Without {source.name}, Python does its work: {problem}")
                library.unlink(missing_ok=True)
                continue
            system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{system}"
            build_data["pure_python"] = False
            build_data["artifacts"].append(str(library_of(source)))


def library_of(source: Path) -> Path:
    """Return where a C file's library goes; Python would import one of the source's name."""
    return source.with_name(f"lib{source.stem}.so")


def compile_library(source: Path, library: Path, *options: str) -> str:
    """Compile a C file into a library, which is there whole or not at all.

    Args:
        source: The C file.
        library: What to make.
        options: More options for the compiler.

    Returns:
        What went wrong; empty if nothing did.
    """
    compiler = shlex.split(os.environ.get("CC") or "cc")
    # In the same folder, so that it can take the old one's place, which a running server may have loaded.
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".native-") as folder:
        made = Path(folder) / library.name
        command = [*compiler, *OPTIONS, *options, "-o", str(made), str(source)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except OSError:
            return f"there is no compiler {compiler[0]}"
        except subprocess.CalledProcessError as error:
            return f"{compiler[0]} failed: {error.stderr.strip()[-500:]}"
        made.replace(library)
    return ""
