"""Parquet and Arrow files, made of parts that hold NDJSON."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from userstream_client.cli._file_types import FileFormat, FileType

__all__ = ["write_columnar"]

_GROUP_ROWS = 100_000


def write_columnar(whole: Path, file_type: FileType, paths: list[Path]) -> None:
    """Write the rows of all parts to one file, in groups of 100,000.

    Raises:
        OSError: It could not be written; nothing of it is left.
    """
    # Late, and only here: it is large, and an extra.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import ipc, parquet  # noqa: PLC0415

    types = {"age": pa.int64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in file_type.columns.names])
    make: Any = parquet.ParquetWriter if file_type.format is FileFormat.PARQUET else ipc.new_file
    try:
        with make(str(whole), schema) as writer:
            for rows in _groups(paths):
                columns = list(zip(*(row.values() for row in rows), strict=True))
                table = pa.table(
                    [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)],
                    schema=schema,
                )
                writer.write_table(table)
    except BaseException:
        whole.unlink(missing_ok=True)
        raise


def _groups(paths: list[Path]) -> Iterator[list[dict[str, Any]]]:
    lines = itertools.chain.from_iterable(_lines(path) for path in paths)
    while group := [json.loads(line) for line in itertools.islice(lines, _GROUP_ROWS)]:
        yield group


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file
