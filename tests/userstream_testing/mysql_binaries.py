"""Finding a real MySQL or MariaDB server program, or unpacking one; nothing is installed.

Looked for in this order: on PATH; then, on Debian and its relatives, as packages: unpacked with all
they link against and started by their own dynamic linker, so that a package of a newer release runs
on an older one.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = [
    "Engine",
    "ProgramNotFoundError",
    "ServerProgram",
    "cache_folder",
    "find_server",
    "locked",
]

Engine = Literal["mysql", "mariadb"]
_PACKAGES: dict[Engine, tuple[str, ...]] = {
    "mysql": ("mysql-server-core", "mysql-server-core-8.4", "mysql-server-core-8.0"),
    "mariadb": ("mariadb-server-core",),
}
_BINARIES: dict[Engine, tuple[str, ...]] = {"mysql": ("mysqld",), "mariadb": ("mariadbd", "mysqld")}
_DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
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


def cache_folder() -> Path:
    """Return the folder that keeps unpacked programs and prepared data between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "userstream"


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
    folder = cache_folder() / f"{engine}-server"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{engine}-") as scratch:
                root = _download(engine, Path(scratch))
                # A rename is all or nothing: a folder of this name is always complete.
                root.rename(folder)
    program = _try(engine, _linked_command(engine, folder), _share(engine, folder))
    if program is None:
        raise ProgramNotFoundError(f"The {engine} server in {folder} does not run. {_OTHERWISE}")
    return program


def _download(engine: Engine, scratch: Path) -> Path:
    """Fetch the server's packages and all they need, and unpack them into one folder."""
    apt = _apt_settings(engine, scratch)
    run = {"env": {**os.environ, "APT_CONFIG": str(apt)}, "capture_output": True, "text": True}
    updated = subprocess.run(["apt-get", "-q", "update"], check=False, **run)  # type: ignore[call-overload]
    for package in _PACKAGES[engine]:
        fetch = ["apt-get", "-qy", "--no-install-recommends", "--download-only", "install", package]
        if subprocess.run(fetch, check=False, **run).returncode == 0:  # type: ignore[call-overload]
            break
    else:
        words = (updated.stderr or "").strip().splitlines()[-1:] or ["no such package"]
        raise ProgramNotFoundError(f"No {engine} server packages: {words[0]}. {_OTHERWISE}")
    root = scratch / "root"
    root.mkdir()
    for package_file in sorted((scratch / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package_file), str(root)], check=True)
    return root


def _apt_settings(engine: Engine, scratch: Path) -> Path:
    """Write settings that give apt-get a state of its own: no root, and nothing of the system changes."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    # An empty list of installed packages makes apt-get fetch the libraries too, libc included.
    (scratch / "status").touch()
    settings = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    if engine == "mysql" and not _suite_has_mysql():
        mirror = _mirror()
        sources = scratch / "sources.list"
        signed = f"[signed-by={_DEBIAN_KEYRING}] " if _DEBIAN_KEYRING.exists() else ""
        sources.write_text(f"deb {signed}{mirror} sid main\n", encoding="utf-8")
        settings |= {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-"}
    path = scratch / "apt.conf"
    lines = [f'{name} "{value}";' for name, value in settings.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _suite_has_mysql() -> bool:
    """Say whether the system's own release has a MySQL server, as Ubuntu's has."""
    shown = subprocess.run(
        ["apt-cache", "--names-only", "search", r"^mysql-server-core(-8\.[04])?$"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return bool(shown.stdout.strip())


def _mirror() -> str:
    """Return the mirror the system itself uses."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in listed.stdout.splitlines():
        uri, _, component = line.partition(" ")
        if component == "main" and "security" not in uri:
            return uri
    raise ProgramNotFoundError(f"The system's package sources name no mirror. {_OTHERWISE}")


def _linked_command(engine: Engine, folder: Path) -> tuple[str, ...]:
    """Start the program with its own dynamic linker and libraries."""
    linkers = [*folder.glob("usr/lib64/ld-linux*.so.*"), *folder.glob("lib64/ld-linux*.so.*")]
    linkers += [*folder.glob("usr/lib/*/ld-linux*.so.*"), *folder.glob("lib/*/ld-linux*.so.*")]
    binaries = [folder / "usr/sbin" / name for name in _BINARIES[engine]]
    binary = next((path for path in binaries if path.exists()), None)
    # The symbolic link of the linker is absolute in some releases, so the real file is wanted.
    linker = next((path for path in linkers if path.exists()), None)
    if binary is None or linker is None:
        raise ProgramNotFoundError(f"{folder} is not complete. Delete it and try again.")
    libraries = {str(p.parent) for pattern in ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*")
                 for d in folder.glob(pattern) if d.is_dir() for p in [d / "x"]}  # fmt: skip
    libraries |= {str(path.parent) for path in folder.glob("usr/lib/*-linux-gnu*/*/lib*.so*")}
    return (str(linker), "--library-path", ":".join(sorted(libraries)), str(binary))


def _share(engine: Engine, folder: Path) -> Path | None:
    names = ("mariadb", "mysql") if engine == "mariadb" else ("mysql",)
    shares = [folder / "usr/share" / name for name in names]
    return next((path for path in shares if path.is_dir()), None)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time unpack."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
