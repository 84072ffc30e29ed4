"""Programs out of Debian's packages, unpacked into the cache folder; nothing is installed and no root is needed."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from userstream_testing.mysql_binaries import cache_folder, locked

__all__ = ["PackageNotFoundError", "unpacked"]


class PackageNotFoundError(RuntimeError):
    """There is no such package to be had here; the message says which."""


def unpacked(name: str, *packages: str, needs: re.Pattern[str] | None = None) -> Path:
    """Return a folder with the packages' files, fetching them if need be.

    Args:
        name: The folder's name in the cache.
        packages: What to fetch.
        needs: Which of the packages that these depend on to fetch as well; none by default.

    Raises:
        PackageNotFoundError: apt-get has no such package, or does not exist here.
    """
    folder = cache_folder() / name
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as scratch:
                # A rename is all or nothing: a folder of this name is always complete.
                _download(Path(scratch), packages, needs).rename(folder)
    return folder


def _download(scratch: Path, packages: tuple[str, ...], needs: re.Pattern[str] | None) -> Path:
    """Fetch packages with a state of apt's own, and unpack them into one folder."""
    config = _apt_settings(scratch)

    def run(*command: str) -> str:
        return subprocess.run(
            command,
            env={**os.environ, "APT_CONFIG": str(config)},
            cwd=scratch, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    try:
        run("apt-get", "-q", "update")
        depends = run("apt-cache", "depends", "--recurse", "-i", *packages) if needs else ""
        wanted = {*packages, *(needs.findall(depends) if needs else ())}
        run("apt-get", "-q", "download", *sorted(wanted))
        for package in scratch.glob("*.deb"):
            run("dpkg", "-x", str(package), str(scratch / "root"))
    except (OSError, subprocess.CalledProcessError):
        raise PackageNotFoundError(f"apt-get has no package {packages[0]} here.") from None
    return scratch / "root"


def _apt_settings(scratch: Path) -> Path:
    for folder in ("state/lists/partial", "cache/archives/partial", "root"):
        (scratch / folder).mkdir(parents=True)
    settings = {"Dir::State": scratch / "state", "Dir::Cache": scratch / "cache"}
    config = scratch / "apt.conf"
    config.write_text(
        "".join(f'{name} "{value}";\n' for name, value in settings.items())
        + 'APT::Sandbox::User "";\nAcquire::Languages "none";\nAcquire::Retries "3";\n'
    )
    return config
