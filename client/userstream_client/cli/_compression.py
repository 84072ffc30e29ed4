"""Compressed files: gzip and zstd, written as members that stand alone and read without leniency.

Both formats allow members (zstd: frames) one after another, so a file that ends after a whole member is a valid file.
"""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from importlib.util import find_spec
from typing import Protocol

from userstream_client.cli._problems import DamagedFile, UsageProblem

__all__ = ["Compression", "Compressor", "check_compression", "compressor_for", "decompressed"]

_GZIP_LEVEL = 6
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # with gzip's header and CRC-32 around the data
_ZSTD_LEVEL = 3


class Compression(StrEnum):
    """How a file is compressed as a whole."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class Compressor(Protocol):
    """Makes one member."""

    def compress(self, data: bytes, /) -> bytes:
        """Take data, and return what of the member is ready."""

    def flush(self) -> bytes:
        """Return the rest of the member, which ends it."""


class Decompressor(Protocol):
    """Reads one member."""

    @property
    def eof(self) -> bool:
        """Whether the member is read to its end, its checksum included."""

    @property
    def unused_data(self) -> bytes:
        """What came after the member's end."""

    def decompress(self, data: bytes, /) -> bytes:
        """Take the member's next bytes, and return the data in them."""


class _Plain:
    """No compression."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def check_compression(compression: Compression) -> None:
    """Make sure that a compression can be used, before anything is read.

    Raises:
        UsageProblem: Its library is missing.
    """
    missing = sys.version_info < (3, 14) and find_spec("zstandard") is None
    if compression is Compression.ZSTD and missing:
        raise UsageProblem(
            "zstd needs Python 3.14 or the package zstandard: run pip install 'userstream[zstd]', or use gzip"
        )


def compressor_for(compression: Compression) -> Compressor:
    """Return what makes the next member; a member's bytes depend on its data alone."""
    return _COMPRESSORS[compression]()


def _gzip_compressor() -> Compressor:
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)


def _gzip_decompressor() -> tuple[Decompressor, type[Exception]]:
    return zlib.decompressobj(_GZIP_WINDOW), zlib.error


def _zstd_compressor() -> Compressor:
    # Late, and only here: an extra below Python 3.14.
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415

        names = zstd.CompressionParameter
        options: dict[int, int] = {names.compression_level: _ZSTD_LEVEL, names.checksum_flag: 1}
        return zstd.ZstdCompressor(options=options)
    import zstandard  # noqa: PLC0415

    whole = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
    member: Compressor = whole.compressobj()
    return member


def _zstd_decompressor() -> tuple[Decompressor, type[Exception]]:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415

        return zstd.ZstdDecompressor(), zstd.ZstdError
    import zstandard  # noqa: PLC0415

    return zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError


_COMPRESSORS: dict[Compression, Callable[[], Compressor]] = {
    Compression.NONE: _Plain,
    Compression.GZIP: _gzip_compressor,
    Compression.ZSTD: _zstd_compressor,
}
_DECOMPRESSORS: dict[Compression, Callable[[], tuple[Decompressor, type[Exception]]]] = {
    Compression.GZIP: _gzip_decompressor,
    Compression.ZSTD: _zstd_decompressor,
}


def decompressed(pieces: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """Yield the data of a file, whose members must be whole, with nothing after the last.

    Python's gzip passes over zeros at the end, and some readers take a frame that was cut off for the whole.

    Args:
        pieces: The file's bytes.
        compression: How it is compressed.

    Raises:
        DamagedFile: It is not as it was written.
    """
    if compression is Compression.NONE:
        yield from pieces
        return
    make = _DECOMPRESSORS[compression]
    member, failure = make()
    for piece in pieces:
        rest = piece
        while rest:
            if member.eof:
                member, failure = make()
            try:
                yield member.decompress(rest)
            except failure:
                raise DamagedFile(f"its {compression} data is damaged") from None
            rest = member.unused_data if member.eof else b""
    if not member.eof:
        raise DamagedFile(f"its {compression} data is cut off")
