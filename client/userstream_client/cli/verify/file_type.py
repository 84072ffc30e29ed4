"""Which format a file has that may be an export: by option, manifest, name, or its first bytes."""

from dataclasses import replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TypeVar

from userstream_client.cli._columns import ALL_COLUMNS, Columns
from userstream_client.cli._compression import Compression, decompressed
from userstream_client.cli._file_types import FileFormat, FileType, check_file_type, named_type
from userstream_client.cli._manifest import Manifest
from userstream_client.cli._problems import DamagedFile, UsageProblem

__all__ = ["file_type_of"]

KindT = TypeVar("KindT", bound=StrEnum)
_PEEK_BYTES = 4096
_PACKED = {b"\x1f\x8b": Compression.GZIP, b"\x28\xb5\x2f\xfd": Compression.ZSTD}
_BEGINNINGS = {
    b"PAR1": FileFormat.PARQUET,
    b"ARROW1": FileFormat.ARROW,
    b"{": FileFormat.NDJSON,
    b"user_id,": FileFormat.CSV,
}


def file_type_of(
    path: Path, style: FileFormat | None, manifest: Manifest | None, columns: Columns | None = None
) -> FileType:
    """Return the type of a file.

    Args:
        path: The file.
        style: From `--format`; decides about the format if it is given.
        manifest: Of the file; None without one.
        columns: From `--fields`; None for those of the manifest, or else all.

    Raises:
        UsageProblem: It is none of an export's formats, cannot be read, or a library is missing.
    """
    if manifest:
        found = FileType(style or manifest.file_type.format, manifest.file_type.compression)
    else:
        found = _looked_at(path, style)
    check_file_type(found)
    known = columns or (manifest.columns if manifest else ALL_COLUMNS)
    return replace(found, columns=known)


def _looked_at(path: Path, style: FileFormat | None) -> FileType:
    with path.open("rb") as file:
        begins = file.read(_PEEK_BYTES)
    named_format, compression = named_type(path.name)
    compression = compression or _by_beginning(begins, _PACKED) or Compression.NONE
    check_file_type(FileType(FileFormat.CSV, compression))
    found = style or named_format or _by_beginning(_unpacked(begins, compression), _BEGINNINGS)
    if found is None:
        raise UsageProblem(
            f"{path} does not look like an export: name its format with --format if it is one"
        )
    return FileType(found, compression)


def _unpacked(begins: bytes, compression: Compression) -> bytes:
    try:
        return b"".join(islice(decompressed([begins], compression), 1))
    except DamagedFile:
        return b""


def _by_beginning(begins: bytes, kinds: dict[bytes, KindT]) -> KindT | None:
    return next((kind for magic, kind in kinds.items() if begins.startswith(magic)), None)
