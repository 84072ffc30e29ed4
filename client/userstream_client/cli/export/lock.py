"""One export at a time per output: a lock file that dies with its process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from userstream_client.cli._problems import ExportProblem

__all__ = ["only_export_to"]


@contextmanager
def only_export_to(output: Path) -> Iterator[None]:
    """Hold the lock of an output for the block; nothing of it stays behind.

    Raises:
        ExportProblem: Another process exports to the same file.
    """
    path = output.with_name(f".{output.name}.lock")
    handle = _locked(path, output)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        try:
            # Removed while the lock is held, so that whoever waits for it sees that the file is gone.
            path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _locked(path: Path, output: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise ExportProblem(
                f"process {holder} is exporting to {output} right now; wait for it to end, or name another file"
            ) from None
        if _is_still(path, handle):
            return handle
        os.close(handle)  # its last holder removed it between our open and our lock


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
