"""FastAPI for a contestant: the locked packages in a folder of their own, because the project does without."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from userstream_testing.debian_packages import PackageNotFoundError, cache_folder, locked

__all__ = ["fastapi_folder"]

_ROOT = Path(__file__).resolve().parent.parent
_LOCK = _ROOT / "requirements/benchmarks.txt"
_OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps")


def fastapi_folder() -> Path:
    """Return the folder to import from, made anew when the lock has changed.

    Raises:
        PackageNotFoundError: The packages are not to be had here.
    """
    state = hashlib.sha256(sys.version.encode() + _LOCK.read_bytes()).hexdigest()
    folder = cache_folder() / f"fastapi-{state[:12]}"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fastapi-") as scratch:
                _install(Path(scratch, "packages"))
                # A rename is all or nothing: a folder of this name is always complete.
                Path(scratch, "packages").rename(folder)
    return folder


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", f"--target={folder}"]
    done = subprocess.run(
        [*pip, *_OPTIONS, f"--requirement={_LOCK}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackageNotFoundError(f"pip failed:\n{done.stderr[-2000:]}")
