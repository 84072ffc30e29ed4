"""Reading an export's key ranges side by side, each into a file of its own."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from userstream_client._client import UserStreamClient
from userstream_client._streams import BatchStream
from userstream_client.cli._formats import encoder_for
from userstream_client.cli._output import USER_COLUMNS
from userstream_client.cli.export.state import ExportState, Part
from userstream_client.models import Consistency, UserFilter

__all__ = ["PartReader"]

_SAVE_SECONDS = 1.0
_SHOW_SECONDS = 0.1


class PartReader:
    """Fills the parts' files, and keeps the saved state in step with them.

    Args:
        client: Shared by the threads; closed when one of them fails.
        state: Where they begin.
        output: The export's file; the parts lie beside it.
        where: Which users.
        consistency: What to promise about concurrent writes.
        limit: The most users of the whole export; 0 for all.
        style: `csv` or `ndjson`, what the parts hold.
    """

    def __init__(
        self,
        client: UserStreamClient,
        state: ExportState,
        output: Path,
        *,
        where: UserFilter,
        consistency: Consistency,
        limit: int,
        style: str,
    ) -> None:
        self._client = client
        self._state = state
        self._output = output
        self._where = where
        self._consistency = consistency
        self._limit = limit
        self._style = style
        self._encode = encoder_for(style)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._estimates = {
            part.name: (part.checkpoint.user_count or 0) if part.done else None
            for part in state.parts
        }
        self._crcs = {part.name: part.crc32 for part in state.parts}
        self._users = {part.name: part.checkpoint.user_count or 0 for part in state.parts}

    @property
    def user_count(self) -> int:
        """Users read so far, those of earlier runs included."""
        return sum(self._users.values())

    @property
    def estimated_users(self) -> int:
        """About how many users the whole export has; 0 until that of every part is known."""
        known = [users for users in self._estimates.values() if users is not None]
        return sum(known) if len(known) == len(self._estimates) else 0

    def read(self, show: Callable[[int, int], None]) -> None:
        """Read all parts to their ends.

        Args:
            show: Told the number of users and the estimated one from time to time.

        Raises:
            UserStreamError: A part could not be read; what was read is saved.
            OSError: A part could not be written.
        """
        left = [part for part in self._state.parts if not part.done]
        with ThreadPoolExecutor(max(1, len(left)), thread_name_prefix="export") as pool:
            futures = [pool.submit(self._read_part, part) for part in left]
            try:
                self._wait(futures, show)
            except BaseException:
                # Ends the other parts' calls too, wherever they wait; each saves what it has.
                self._stopping.set()
                self._client.close()
                raise

    def _wait(self, futures: list[Future[None]], show: Callable[[int, int], None]) -> None:
        running = set(futures)
        while running:
            done, running = wait(running, _SHOW_SECONDS, FIRST_EXCEPTION)
            for future in done:
                future.result()
            show(self.user_count, self.estimated_users)

    def _read_part(self, part: Part) -> None:
        path = self._output.with_name(part.name)
        with _opened_at(path, part.byte_offset) as file, self._stream(part) as chunks:
            if part.byte_offset == 0 and self._style == "csv" and part is self._state.parts[0]:
                self._write(part, file, [USER_COLUMNS])
            try:
                self._copy(part, chunks, file)
            except OSError:
                raise  # nobody knows how much of the last list was written; the last save holds
            except BaseException:
                # Whatever ended the stream, the lists taken so far are whole.
                self._save(part, chunks, file)
                raise
            self._save(part, chunks, file)

    def _stream(self, part: Part) -> BatchStream:
        return self._client.stream_users(
            self._where,
            limit=self._limit,
            partition=part.partition,
            consistency=self._consistency,
            resume_token=part.checkpoint,
        ).chunks()

    def _copy(self, part: Part, chunks: BatchStream, file: BinaryIO) -> None:
        due = time.monotonic() + _SAVE_SECONDS
        for users in chunks:
            self._write(part, file, users)
            self._users[part.name] += len(users)
            if chunks.progress and chunks.progress.fraction:
                self._estimates[part.name] = chunks.progress.estimated_users
            if self._stopping.is_set():
                return
            if time.monotonic() >= due:
                self._save(part, chunks, file)
                due = time.monotonic() + _SAVE_SECONDS

    def _write(self, part: Part, file: BinaryIO, rows: Sequence[Sequence[object]]) -> None:
        text = self._encode(USER_COLUMNS, rows).encode()
        file.write(text)
        self._crcs[part.name] = crc32(text, self._crcs[part.name])

    def _save(self, part: Part, chunks: BatchStream, file: BinaryIO) -> None:
        """Put the rows on disk first, then the word that they are there."""
        file.flush()
        os.fsync(file.fileno())
        with self._lock:
            part.byte_offset = file.tell()
            part.crc32 = self._crcs[part.name]
            part.checkpoint = chunks.checkpoint
            part.done = chunks.receipt is not None
            self._state.save(self._output)


def _opened_at(path: Path, byte_offset: int) -> BinaryIO:
    """Open a part's file for writing, cut off after what is known to be safe."""
    file = path.open("r+b" if byte_offset else "wb")
    file.truncate(byte_offset)
    file.seek(byte_offset)
    return file
