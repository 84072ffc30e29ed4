"""The file of one part: what is written to it becomes safe in steps."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self
from zlib import crc32

from userstream_client.cli._compression import Compression, Compressor, compressor_for
from userstream_client.cli.export.state import Part

__all__ = ["PartFile"]


class PartFile:
    """Appends to a part's file, after what is known to be safe.

    Args:
        path: The file; cut off after its safe bytes.
        part: Where it stands.
        compression: Of the whole; each step makes a member of its own, so that the file can be continued after it.
    """

    def __init__(self, path: Path, part: Part, compression: Compression) -> None:
        self._compression = compression
        self._member: Compressor | None = None
        self._crc32 = part.crc32
        self._file = path.open("r+b" if part.byte_offset else "wb")
        self._file.truncate(part.byte_offset)
        self._file.seek(part.byte_offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append data; an empty piece begins a member too, so that a compressed file without users is one."""
        if self._member is None:
            self._member = compressor_for(self._compression)
        self._append(self._member.compress(data))

    def sync(self) -> tuple[int, int]:
        """Put everything on disk; return how many bytes are safe now, and their CRC-32."""
        if self._member is not None:
            self._append(self._member.flush())
            self._member = None
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell(), self._crc32

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._crc32 = crc32(data, self._crc32)
