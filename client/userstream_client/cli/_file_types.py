"""What an export's file holds: its format, compression and columns, from the options or the file's name."""

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import PurePath

from userstream_client.cli._columns import ALL_COLUMNS, Columns
from userstream_client.cli._compression import Compression, check_compression
from userstream_client.cli._problems import UsageProblem

__all__ = [
    "COLUMNAR",
    "FileFormat",
    "FileType",
    "check_file_type",
    "file_type_from",
    "named_type",
]


class FileFormat(StrEnum):
    """What the file holds; parquet and arrow need the extra `userstream[arrow]`."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


COLUMNAR = {FileFormat.PARQUET, FileFormat.ARROW}
_FORMATS = {
    ".csv": FileFormat.CSV,
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".parquet": FileFormat.PARQUET,
    ".arrow": FileFormat.ARROW,
    ".feather": FileFormat.ARROW,
}
_COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}


@dataclass(frozen=True, slots=True)
class FileType:
    """The format of a file's rows, how the whole is compressed around them, and their columns."""

    format: FileFormat
    compression: Compression = Compression.NONE
    columns: Columns = ALL_COLUMNS


def named_type(name: str) -> tuple[FileFormat | None, Compression | None]:
    """Return what a file's name says of its format and compression; None where it says nothing."""
    path = PurePath(name)
    compression = _COMPRESSIONS.get(path.suffix.lower())
    inner = PurePath(path.stem) if compression else path
    return _FORMATS.get(inner.suffix.lower()), compression


def file_type_from(
    name: str,
    style: FileFormat | None,
    compression: Compression | None,
    columns: Columns = ALL_COLUMNS,
) -> FileType:
    """Return the type of an export: options first, then the name, then plain CSV.

    Args:
        name: The output's name.
        style: From `--format`.
        compression: From `--compress`.
        columns: From `--fields`.

    Raises:
        UsageProblem: They contradict each other, or a library is missing.
    """
    named_format, named_compression = named_type(name)
    if compression and named_compression and compression is not named_compression:
        raise UsageProblem(
            f"--compress {compression} does not go with the name {name}: change one of them"
        )
    found = FileType(
        style or named_format or FileFormat.CSV,
        compression or named_compression or Compression.NONE,
        columns,
    )
    check_file_type(found)
    return found


def check_file_type(found: FileType) -> None:
    """Make sure that a type exists and its library is there.

    Raises:
        UsageProblem: It does not, or it is not.
    """
    if found.format in COLUMNAR and found.compression is not Compression.NONE:
        raise UsageProblem(
            f"--format {found.format} is compressed inside: leave out --compress and the ending .gz or .zst"
        )
    if found.format in COLUMNAR and find_spec("pyarrow") is None:
        raise UsageProblem(
            f"--format {found.format} needs pyarrow: run pip install 'userstream[arrow]', or use csv or ndjson"
        )
    check_compression(found.compression)
