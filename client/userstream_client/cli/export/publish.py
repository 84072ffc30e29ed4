"""From parts to the one file that was asked for, which appears whole or not at all."""

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from userstream_client.cli._output import USER_COLUMNS
from userstream_client.cli._problems import UsageProblem
from userstream_client.cli.export.state import (
    ExportState,
    cut_to_safe_bytes,
    fsync_folder,
    prove_parts,
)

__all__ = ["COLUMNAR", "check_columnar", "finish"]

COLUMNAR = {"parquet", "arrow"}
_GROUP_ROWS = 100_000


def check_columnar(style: str) -> None:
    """Make sure that the format can be written, before anything is read.

    Raises:
        UsageProblem: Its library is missing.
    """
    if style in COLUMNAR and find_spec("pyarrow") is None:
        raise UsageProblem(
            f"--format {style} needs pyarrow: run pip install 'userstream[arrow]', or use csv or ndjson"
        )


def finish(state: ExportState, output: Path, style: str) -> None:
    """Make the output of the parts, and remove them.

    Raises:
        ExportProblem: A part is not as it was written; nothing is published.
        OSError: It could not be written; the old output is as it was.
    """
    prove_parts(state, output)
    cut_to_safe_bytes(state, output)
    paths = [output.with_name(part.name) for part in state.parts]
    if style in COLUMNAR:
        whole = output.with_name(f".{output.name}.tmp")
        _write_columnar(whole, style, paths)
    else:
        whole = paths[0]
        _append(state.parts[0].byte_offset, paths)
    _synced(whole)
    whole.replace(output)
    fsync_folder(output.parent)
    state.remove(output)


def _append(byte_offset: int, paths: list[Path]) -> None:
    """Append the other parts to the first; done again from its own end if it was interrupted."""
    with paths[0].open("r+b") as whole:
        whole.truncate(byte_offset)
        whole.seek(byte_offset)
        for path in paths[1:]:
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole, 1024 * 1024)


def _synced(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _write_columnar(whole: Path, style: str, paths: list[Path]) -> None:
    # Late, and only here: it is large, and an extra.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import ipc, parquet  # noqa: PLC0415

    types = {"age": pa.int64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in USER_COLUMNS])
    make: Any = parquet.ParquetWriter if style == "parquet" else ipc.new_file
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
