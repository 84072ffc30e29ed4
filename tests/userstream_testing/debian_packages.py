"""Programs out of Debian's packages, unpacked into the cache folder; nothing is installed and no root is needed."""

import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Apt", "PackageNotFoundError", "cache_folder", "dynamic_command", "locked", "unpacked"]

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class PackageNotFoundError(RuntimeError):
    """The packages are not to be had on this machine."""


def cache_folder() -> Path:
    """Return the folder that keeps unpacked programs and prepared data between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "userstream"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time unpack."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def unpacked(name: str, fetch: Callable[["Apt"], None], *, suite: str | None = None) -> Path:
    """Return the folder with some packages' files, made on first use.

    Args:
        name: The folder's name in the cache.
        fetch: Downloads the packages.
        suite: Debian's release to take them from, such as `sid`; that of the machine by default.

    Raises:
        PackageNotFoundError: They cannot be had here.
    """
    folder = cache_folder() / name
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as scratch:
                apt = Apt(Path(scratch), suite)
                fetch(apt)
                # A rename is all or nothing: a folder of this name is always complete.
                apt.unpack().rename(folder)
    return folder


class Apt:
    """apt-get with a state of its own, which needs no root and changes nothing of the system.

    Args:
        folder: Where it keeps that state.
        suite: Debian's release; that of the machine by default.

    Raises:
        PackageNotFoundError: There is no apt-get, or it reaches no packages.
    """

    def __init__(self, folder: Path, suite: str | None = None) -> None:
        self._folder = folder
        self._archives = folder / "cache/archives"
        for path in (folder / "state/lists/partial", self._archives / "partial"):
            path.mkdir(parents=True)
        self._environment = {**os.environ, "APT_CONFIG": str(self._settings(suite))}
        self._run("apt-get", "-q", "update")

    def depends(self, package: str, pattern: str) -> str:
        """Return the one direct dependency of a package that matches a regular expression."""
        found = re.search(pattern, self._run("apt-cache", "depends", package))
        if not found:
            raise PackageNotFoundError(f"{package} depends on nothing like {pattern}.")
        return found[0]

    def depends_indirectly(self, package: str, pattern: str) -> set[str]:
        """Return all dependencies, also indirect ones, whose names match a regular expression."""
        lines = self._run("apt-cache", "depends", "--recurse", "-i", package).splitlines()
        return {line for line in lines if re.fullmatch(pattern, line)}

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

    def _settings(self, suite: str | None) -> Path:
        # An empty list of installed packages makes apt-get fetch the libraries too.
        status = self._folder / "status"
        status.touch()
        settings: dict[str, object] = {
            "Dir::State": self._folder / "state",
            "Dir::State::status": status,
            "Dir::Cache": self._folder / "cache",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        if suite:
            sources = self._folder / "sources.list"
            signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
            sources.write_text(f"deb {signed}{_mirror()} {suite} main\n", encoding="utf-8")
            settings |= {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-"}
        path = self._folder / "apt.conf"
        lines = [f'{name} "{value}";\n' for name, value in settings.items()]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def _run(self, *command: str) -> str:
        return _output(command, self._environment, self._archives)


def dynamic_command(folder: Path, program: str) -> tuple[str, ...]:
    """Return how to start an unpacked program with its own dynamic linker and libraries.

    Raises:
        PackageNotFoundError: The folder is not complete.
    """
    # The symbolic link of the linker is absolute in some releases, so the real file is wanted.
    linkers = [path for path in folder.glob("**/ld-linux*.so.*") if path.exists()]
    if not linkers or not (folder / program).exists():
        raise PackageNotFoundError(f"{folder} is not complete. Delete it and try again.")
    libraries = {str(path.parent) for path in folder.glob("**/*-linux-gnu*/**/lib*.so*")}
    return (
        str(linkers[0]),
        "--library-path",
        ":".join(sorted(libraries, key=len)),
        str(folder / program),
    )


def _mirror() -> str:
    """Return the mirror the system itself uses."""
    listed = _output(
        ("apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages")
    )
    for line in listed.splitlines():
        uri, _, component = line.partition(" ")
        if component == "main" and "security" not in uri:
            return uri
    raise PackageNotFoundError("The system's package sources name no mirror.")


def _output(
    command: tuple[str, ...], environment: dict[str, str] | None = None, folder: Path | None = None
) -> str:
    try:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise PackageNotFoundError("There is no apt-get here.") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or ["failed"]
        raise PackageNotFoundError(f"{command[0]}: {words[0]}")
    return done.stdout
