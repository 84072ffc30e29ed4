"""Finding a real MySQL or MariaDB server program, or unpacking one; nothing is installed.

Looked for in this order: on PATH; then, on Debian and its relatives, as packages: unpacked with all
they link against and started by their own dynamic linker, so that a package of a newer release runs
on an older one.
"""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from userstream_testing.debian_packages import Apt, PackageNotFoundError, dynamic_command, unpacked

__all__ = ["Engine", "ProgramNotFoundError", "ServerProgram", "find_server"]

Engine = Literal["mysql", "mariadb"]
_PACKAGES: dict[Engine, tuple[str, ...]] = {
    "mysql": ("mysql-server-core", "mysql-server-core-8.4", "mysql-server-core-8.0"),
    "mariadb": ("mariadb-server-core",),
}
_BINARIES: dict[Engine, tuple[str, ...]] = {"mysql": ("mysqld",), "mariadb": ("mariadbd", "mysqld")}
_OTHERWISE = (
    "Put a server program on PATH, or name a running server in USERSTREAM_TEST_MYSQL_URL"
    " (mysql://user:password@host:port, an account that may create databases and users)."
)


class ProgramNotFoundError(RuntimeError):
    """There is no server program to be had here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A server program that runs here.

    Attributes:
        engine: Which of the two.
        command: How to start it, before its own options.
        version: What it says of itself.
        share: Its folder of messages and bootstrap SQL; None when it finds that itself.
    """

    engine: Engine
    command: tuple[str, ...]
    version: str
    share: Path | None = None

    @property
    def plugins(self) -> Path | None:
        """Its folder of plugins; None when it finds that itself."""
        folder = Path(self.command[-1]).parent.parent / "lib/mysql/plugin"
        return folder if self.share is not None and folder.is_dir() else None


@cache
def find_server(engine: Engine) -> ServerProgram:
    """Find a server program, unpacking one if need be (60 MB, some seconds, once).

    Raises:
        ProgramNotFoundError: There is none.
    """
    for name in _BINARIES[engine]:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if path and (program := _try(engine, (path,), None)):
            return program
    if shutil.which("apt-get") and shutil.which("dpkg"):
        return _unpacked(engine)
    raise ProgramNotFoundError(f"No {engine} server here. {_OTHERWISE}")


def _try(engine: Engine, command: tuple[str, ...], share: Path | None) -> ServerProgram | None:
    """Ask a program for its version; None when it is the other engine or too old."""
    answer = subprocess.run(
        [*command, "--no-defaults", "--version"], capture_output=True, text=True, check=False
    )
    version = re.search(r"Ver (\d+)\.(\d+)\.(\d+)", answer.stdout)
    is_mariadb = "mariadb" in answer.stdout.lower()
    if not version or is_mariadb != (engine == "mariadb") or int(version[1]) < 8:
        return None
    return ServerProgram(engine, command, version[0].removeprefix("Ver "), share)


def _unpacked(engine: Engine) -> ServerProgram:
    """Use the unpacked packages, unpacking them first when they are not there."""
    try:
        folder = unpacked(
            f"{engine}-server", lambda apt: _fetch(apt, engine), suite=_suite_for(engine)
        )
        binaries = [f"usr/sbin/{name}" for name in _BINARIES[engine]]
        binary = next((name for name in binaries if (folder / name).exists()), binaries[0])
        program = _try(engine, dynamic_command(folder, binary), _share(engine, folder))
    except PackageNotFoundError as error:
        raise ProgramNotFoundError(f"No {engine} server packages: {error} {_OTHERWISE}") from None
    if program is None:
        raise ProgramNotFoundError(f"The {engine} server in {folder} does not run. {_OTHERWISE}")
    return program


def _fetch(apt: Apt, engine: Engine) -> None:
    """Fetch the first of the server's packages that there is, with all it needs."""
    *others, last = _PACKAGES[engine]
    for package in others:
        with suppress(PackageNotFoundError):
            return apt.download_with_libraries([package])
    return apt.download_with_libraries([last])


def _suite_for(engine: Engine) -> str | None:
    return "sid" if engine == "mysql" and not _suite_has_mysql() else None


def _suite_has_mysql() -> bool:
    """Say whether the system's own release has a MySQL server, as Ubuntu's has."""
    shown = subprocess.run(
        ["apt-cache", "--names-only", "search", r"^mysql-server-core(-8\.[04])?$"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return bool(shown.stdout.strip())


def _share(engine: Engine, folder: Path) -> Path | None:
    names = ("mariadb", "mysql") if engine == "mariadb" else ("mysql",)
    shares = [folder / "usr/share" / name for name in names]
    return next((path for path in shares if path.is_dir()), None)
