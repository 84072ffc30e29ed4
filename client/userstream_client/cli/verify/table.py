"""An export against the table as it is now."""

from collections.abc import Iterator
from copy import copy
from itertools import chain
from pathlib import Path

from userstream_client._streams import BatchStream
from userstream_client.cli._file_types import FileType
from userstream_client.cli._manifest import Figures
from userstream_client.cli._problems import DamagedFile
from userstream_client.cli._reading import read_users, taken
from userstream_client.cli.verify.differences import Differences
from userstream_client.cli.verify.findings import Comparison
from userstream_client.models import User

__all__ = ["compare_with_table"]

_READ_ROWS = 10_000


def compare_with_table(
    path: Path, file_type: FileType, chunks: BatchStream, name: str
) -> Comparison:
    """Compare row by row; both sides are read as streams, and the file once more where they differ.

    Args:
        path: The export.
        file_type: What it holds.
        chunks: The table's users, in the order of the export.
        name: What to call the table.

    Raises:
        UserStreamError: The table could not be read.
        OSError: The file could not be read.
        sqlite3.Error: There was no room for the comparison.
    """
    same = Figures()
    users = read_users(path, file_type)
    only = file_type.columns.only
    table = map(only, chunks)
    for chunk in table:
        mine, _ = taken(users, len(chunk))
        if mine != chunk:
            return _explained(path, file_type, chain([chunk], table), same, name)
        same.add(chunk)
    more, damage = taken(users, 1)
    if more or damage:
        return _explained(path, file_type, iter(()), same, name)
    return Comparison(name, same, same)


def _explained(
    path: Path, file_type: FileType, rest: Iterator[list[User]], same: Figures, name: str
) -> Comparison:
    """Say how the two differ behind the users that are the same."""
    in_file, in_table = Figures(), copy(same)
    with Differences() as differences:
        damage = _load_file(path, file_type, differences, in_file)
        differences.add_same(same.user_count)
        for chunk in rest:
            in_table.add(chunk)
            differences.add_table(chunk)
        return Comparison(name, in_file, in_table, damage, tuple(differences.found()))


def _load_file(
    path: Path, file_type: FileType, differences: Differences, figures: Figures
) -> DamagedFile | None:
    users = read_users(path, file_type)
    while True:
        rows, damage = taken(users, _READ_ROWS)
        figures.add(rows)
        differences.add_file(rows)
        if damage or not rows:
            return damage
