"""Reading an export's key ranges side by side, each into a file of its own."""

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from userstream_client._client import UserStreamClient
from userstream_client._interrupts import interrupt_behind
from userstream_client._streams import BatchStream
from userstream_client.cli._file_types import FileFormat
from userstream_client.cli._formats import encoder_for
from userstream_client.cli._progress import Bar
from userstream_client.cli.export.part_file import PartFile
from userstream_client.cli.export.plan import Plan
from userstream_client.cli.export.state import ExportState, Part
from userstream_client.errors import UserStreamError

__all__ = ["PartReader"]

_SAVE_SECONDS = 1.0
_SHOW_SECONDS = 0.1


class PartReader:
    """Fills the parts' files, and keeps the saved state in step with them.

    Args:
        client: Shared by the threads; closed when one of them fails.
        state: Where they begin.
        plan: What was asked for; the parts lie beside its output.
    """

    def __init__(self, client: UserStreamClient, state: ExportState, plan: Plan) -> None:
        self._client = client
        self._state = state
        self._plan = plan
        self._encode = encoder_for(plan.part_type.format)
        self._columns = plan.part_type.columns
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._estimates = {
            part.name: (part.checkpoint.user_count or 0) if part.done else None
            for part in state.parts
        }
        self._resumed = dict.fromkeys(self._estimates, 0)
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

    @property
    def resumed_count(self) -> int:
        """How often the streams of this run were resumed, also from what an earlier run kept."""
        return sum(self._resumed.values())

    def read(self, bar: Bar) -> None:
        """Read all parts to their ends.

        Args:
            bar: Where progress is shown.

        Raises:
            UserStreamError: A part could not be read; what was read is saved.
            OSError: A part could not be written.
        """
        left = [part for part in self._state.parts if not part.done]
        with ThreadPoolExecutor(max(1, len(left)), thread_name_prefix="export") as pool:
            futures = [pool.submit(self._read_part, part) for part in left]
            try:
                self._wait(futures, bar)
            except BaseException:
                # Ends the other parts' calls too, wherever they wait; each saves what it has.
                self._stopping.set()
                self._client.close()
                raise

    def _wait(self, futures: list[Future[None]], bar: Bar) -> None:
        running = set(futures)
        while running:
            try:
                done, running = wait(running, _SHOW_SECONDS, FIRST_EXCEPTION)
            except RuntimeError as error:
                raise interrupt_behind(error) from None
            for future in done:
                future.result()
            bar.update(self.user_count, self.estimated_users, self.resumed_count)

    def _read_part(self, part: Part) -> None:
        path = self._plan.path.with_name(part.name)
        compression = self._plan.part_type.compression
        with PartFile(path, part, compression) as file, self._stream(part) as chunks:
            if part is self._state.parts[0] and part.byte_offset == 0:
                file.write(self._heading())
            try:
                self._copy(part, chunks, file)
            except UserStreamError:
                # The stream ended, and all lists taken from it are written. After any other error nobody knows
                # how much of the last list is: then the last save holds.
                self._save(part, chunks, file)
                raise
            self._save(part, chunks, file)

    def _heading(self) -> bytes:
        csv, names = self._plan.part_type.format is FileFormat.CSV, self._columns.names
        return self._encode(names, [names]).encode() if csv else b""

    def _stream(self, part: Part) -> BatchStream:
        return self._client.stream_users(
            self._plan.where,
            limit=self._plan.limit,
            partition=part.partition,
            consistency=self._plan.consistency,
            resume_token=part.checkpoint,
            fields=self._columns.fields,
        ).chunks()

    def _copy(self, part: Part, chunks: BatchStream, file: PartFile) -> None:
        due = time.monotonic() + _SAVE_SECONDS
        for users in chunks:
            rows = self._columns.rows(users)
            file.write(self._encode(self._columns.names, rows).encode())
            self._users[part.name] += len(users)
            self._resumed[part.name] = chunks.resumed_count
            if chunks.progress and chunks.progress.fraction:
                self._estimates[part.name] = chunks.progress.estimated_users
            if self._stopping.is_set():
                return
            if time.monotonic() >= due:
                self._save(part, chunks, file)
                due = time.monotonic() + _SAVE_SECONDS

    def _save(self, part: Part, chunks: BatchStream, file: PartFile) -> None:
        """Put the rows on disk first, then the word that they are there."""
        safe = file.sync()
        with self._lock:
            part.byte_offset, part.crc32 = safe
            part.checkpoint = chunks.checkpoint
            if chunks.receipt is not None:
                part.done, part.freshness = True, chunks.receipt.freshness
            self._state.save(self._plan.path)
