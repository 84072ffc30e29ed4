"""Reading exports back, row by row and without leniency: anything that an export does not write is damage."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from userstream_client.cli._columns import Columns
from userstream_client.cli._compression import decompressed
from userstream_client.cli._file_types import FileFormat, FileType
from userstream_client.cli._problems import DamagedFile
from userstream_client.models import User

__all__ = ["read_users", "taken"]

_PIECE_BYTES = 64 * 1024
# Two texts of 255 characters, quoted, take a few kilobytes; a longer line has lost its end.
_LINE_CHARACTERS_MAX = 1024 * 1024
_BATCH_ROWS = 10_000


def read_users(path: Path, file_type: FileType) -> Iterator[User]:
    """Yield the users of an export, in the file's order and in bounded memory.

    Raises:
        DamagedFile: The file holds something else than whole users, from here on.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        yield from _READERS[file_type.format](file, file_type)


def taken(users: Iterator[User], most: int) -> tuple[list[User], DamagedFile | None]:
    """Return the next users of a file, and the damage that they end at; None where there is none."""
    found: list[User] = []
    try:
        found.extend(islice(users, most))
    except DamagedFile as damage:
        return found, damage
    return found, None


def _csv_users(file: BinaryIO, file_type: FileType) -> Iterator[User]:
    columns, reader = file_type.columns, csv.reader(_lines(file, file_type), strict=True)
    try:
        heading = next(reader, [])
        if heading != list(columns.names):
            raise DamagedFile(
                f"its first line is not {','.join(columns.names)}{_exported_with(heading)}"
            )
        for row in reader:
            yield _csv_user(row, reader.line_num, columns)
    except csv.Error:
        raise DamagedFile(f"line {reader.line_num} is no CSV") from None


def _csv_user(row: list[str], line: int, columns: Columns) -> User:
    values: list[Any] = list(row)
    try:
        if columns.names[-1] == "age":
            values[-1] = int(row[-1])
        user = columns.user(values)
    except (ValueError, LookupError, TypeError):
        raise DamagedFile(f"line {line} is not a user") from None
    if columns.names[-1] == "age" and str(user.age) != row[-1]:
        raise DamagedFile(f"line {line} has an age that is no plain whole number")
    return user


def _exported_with(names: Iterable[str]) -> str:
    """Return what to do if these are the columns of an export with other fields; empty if they are not."""
    found = tuple(names)
    named = tuple(name for name in User._fields if name in found)
    if not found or found != named or found[0] != User._fields[0]:
        return ""
    return f", but {','.join(found)}: if it was exported so, repeat its --fields"


def _ndjson_users(file: BinaryIO, file_type: FileType) -> Iterator[User]:
    for number, line in enumerate(_lines(file, file_type), start=1):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or tuple(found) != file_type.columns.names:
            hint = _exported_with(found) if isinstance(found, dict) and number == 1 else ""
            raise DamagedFile(f"line {number} is not a user{hint}")
        yield _typed(list(found.values()), f"line {number}", file_type.columns)


def _lines(file: BinaryIO, file_type: FileType) -> Iterator[str]:
    """Yield lines with their ends."""
    pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
    number, rest = 0, b""
    for piece in decompressed(pieces, file_type.compression):
        whole, end, after = piece.rpartition(b"\n")
        if not end:
            rest += after
        else:
            text = _decoded(rest + whole + end, number)
            lines = text.split("\n")[:-1]
            yield from [line + "\n" for line in lines]
            number, rest = number + len(lines), after
        if len(rest) > _LINE_CHARACTERS_MAX:
            raise DamagedFile(f"line {number + 1} does not end")
    if rest:
        raise DamagedFile(f"line {number + 1} is cut off")


def _decoded(data: bytes, lines_before: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = lines_before + data.count(b"\n", 0, error.start) + 1
        raise DamagedFile(f"line {line} is not UTF-8") from None


def _parquet_users(file: BinaryIO, file_type: FileType) -> Iterator[User]:
    from pyarrow import parquet  # noqa: PLC0415 - large, and an extra

    yield from _columnar_users(
        "Parquet",
        lambda: parquet.ParquetFile(file),
        lambda opened: opened.schema_arrow,
        _parquet_batches,
        file_type.columns,
    )


def _parquet_batches(opened: Any) -> Iterator[Any]:
    # Group by group and without threads of its own: otherwise memory grows with the number of groups.
    for group in range(opened.num_row_groups):
        yield from opened.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False)


def _arrow_users(file: BinaryIO, file_type: FileType) -> Iterator[User]:
    from pyarrow import ipc  # noqa: PLC0415 - large, and an extra

    yield from _columnar_users(
        "Arrow",
        lambda: ipc.open_file(file),
        lambda opened: opened.schema,
        _arrow_batches,
        file_type.columns,
    )


def _arrow_batches(opened: Any) -> Iterator[Any]:
    for number in range(opened.num_record_batches):
        batch = opened.get_batch(number)
        for begin in range(0, batch.num_rows, _BATCH_ROWS):
            yield batch.slice(begin, _BATCH_ROWS)


def _columnar_users(
    name: str,
    start: Callable[[], Any],
    schema_of: Callable[[Any], Any],
    batches_of: Callable[[Any], Iterable[Any]],
    columns: Columns,
) -> Iterator[User]:
    import pyarrow as pa  # noqa: PLC0415 - large, and an extra

    row = 0
    try:
        opened = start()
        found = tuple(schema_of(opened).names)
        if found != columns.names:
            raise DamagedFile(
                f"its columns are not {', '.join(columns.names)}{_exported_with(found)}"
            )
        for batch in batches_of(opened):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                row += 1
                yield _typed(values, f"row {row}", columns)
    # The file itself was opened before, and is readable.
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise DamagedFile(f"it is no whole {name} file, from row {row + 1} on") from None


def _typed(values: Sequence[Any], place: str, columns: Columns) -> User:
    user = columns.user(values)
    user_id, name, email, age = user
    texts = isinstance(user_id, str) and isinstance(name, str) and isinstance(email, str)
    # An id that cannot be printed could hold half a surrogate pair, which has no bytes to take a checksum of.
    if not texts or type(age) is not int or not user_id.isprintable():
        raise DamagedFile(f"{place} is not a user")
    return user


_READERS: dict[FileFormat, Callable[[BinaryIO, FileType], Iterator[User]]] = {
    FileFormat.CSV: _csv_users,
    FileFormat.NDJSON: _ndjson_users,
    FileFormat.PARQUET: _parquet_users,
    FileFormat.ARROW: _arrow_users,
}
