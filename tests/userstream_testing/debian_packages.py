"""Programs and sources from Debian's newest packages, unpacked into the cache folder; nothing is installed.

A contest with an old release would prove less, so the suite is `sid`, whatever release the machine runs.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from userstream_testing.mysql_binaries import cache_folder, locked

__all__ = ["Apt", "PackagesNotFoundError", "dynamic_command", "unpacked"]

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class PackagesNotFoundError(RuntimeError):
    """The packages are not to be had on this machine."""


def unpacked(name: str, fetch: Callable[["Apt"], None]) -> Path:
    """Return the folder with some packages' files, made on first use.

    Args:
        name: The folder's name in the cache.
        fetch: Downloads the packages.

    Raises:
        PackagesNotFoundError: They cannot be had here.
    """
    folder = cache_folder() / name
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as scratch:
                apt = Apt(Path(scratch))
                fetch(apt)
                # A rename is all or nothing: a folder of this name is always complete.
                apt.unpack().rename(folder)
    return folder


class Apt:
    """apt-get with a state of its own, which needs no root and changes nothing of the system.

    Args:
        folder: Where it keeps that state.
    """

    def __init__(self, folder: Path) -> None:
        """See the class.

        Raises:
            PackagesNotFoundError: There is no apt-get, or it reaches no packages.
        """
        self._folder = folder
        self._archives = folder / "cache/archives"
        for path in (folder / "state/lists/partial", self._archives / "partial"):
            path.mkdir(parents=True)
        self._environment = {**os.environ, "APT_CONFIG": str(self._settings(_mirror()))}
        self._run("apt-get", "-q", "update")

    def depends(self, package: str, pattern: str) -> str:
        """Return the one dependency of a package that matches a regular expression."""
        found = re.search(pattern, self._run("apt-cache", "depends", package))
        if not found:
            raise PackagesNotFoundError(f"{package} depends on nothing like {pattern}.")
        return found[0]

    def download(self, packages: Iterable[str]) -> None:
        """Fetch just these packages."""
        self._run("apt-get", "-q", "download", *packages)

    def download_with_libraries(self, packages: Iterable[str]) -> None:
        """Fetch packages and all they need, libc included."""
        options = ("-qy", "--no-install-recommends", "--download-only")
        self._run("apt-get", *options, "install", *packages)

    def unpack(self) -> Path:
        """Unpack what was fetched; return the folder that holds it."""
        root = self._folder / "root"
        root.mkdir()
        for package in sorted(self._archives.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
        return root

    def _settings(self, mirror: str) -> Path:
        signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
        sources = self._folder / "sources.list"
        sources.write_text(f"deb {signed}{mirror} sid main\n", encoding="utf-8")
        # An empty list of installed packages makes apt-get fetch the libraries too.
        status = self._folder / "status"
        status.touch()
        settings = {
            "Dir::State": self._folder / "state",
            "Dir::State::status": status,
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        path = self._folder / "apt.conf"
        lines = [f'{name} "{value}";\n' for name, value in settings.items()]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def _run(self, *command: str) -> str:
        return _output(command, self._environment, self._archives)


def dynamic_command(folder: Path, program: str) -> tuple[str, ...]:
    """Return how to start an unpacked program with its own dynamic linker and libraries."""
    linker = next(folder.glob("usr/lib*/**/ld-linux*.so.*"))
    libraries = ":".join(map(str, folder.glob("usr/lib/*-linux-gnu*")))
    return (str(linker), "--library-path", libraries, str(folder / program))


def _mirror() -> str:
    """Return the mirror the system itself uses."""
    listed = _output(
        ("apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages")
    )
    for line in listed.splitlines():
        uri, _, component = line.partition(" ")
        if component == "main" and "security" not in uri:
            return uri
    raise PackagesNotFoundError("The system's package sources name no mirror.")


def _output(
    command: tuple[str, ...], environment: dict[str, str] | None = None, folder: Path | None = None
) -> str:
    try:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise PackagesNotFoundError("There is no apt-get here.") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or ["failed"]
        raise PackagesNotFoundError(f"{command[0]}: {words[0]}")
    return done.stdout
