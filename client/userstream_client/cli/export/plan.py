"""What an export was asked for."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from userstream_client.cli._file_types import COLUMNAR, FileFormat, FileType
from userstream_client.cli._problems import UsageProblem
from userstream_client.models import Consistency, UserFilter

__all__ = ["STDOUT", "Plan"]

STDOUT = "-"
"""The output that is standard output."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One export.

    Attributes:
        shown: The output as it was named.
        path: The file itself, where the output is a link.
        file_type: What it will hold.
        where: Which users.
        limit: The most users; 0 for all.
        consistency: What to promise about concurrent writes.
        partition_count: Key ranges to read side by side.
        manifest: Whether to write a manifest beside the file.
    """

    shown: str
    path: Path
    file_type: FileType
    where: UserFilter
    limit: int
    consistency: Consistency
    partition_count: int
    manifest: bool

    @property
    def part_type(self) -> FileType:
        """What the parts hold: parquet and arrow are made of NDJSON at the end."""
        columnar = self.file_type.format in COLUMNAR
        columns = self.file_type.columns
        return FileType(FileFormat.NDJSON, columns=columns) if columnar else self.file_type

    @property
    def options(self) -> dict[str, Any]:
        """What another run must ask for to continue this one."""
        return {
            "format": self.file_type.format.value,
            "compress": self.file_type.compression.value,
            "where": asdict(self.where),
            "limit": self.limit,
            "consistency": self.consistency.value,
            "partitions": self.partition_count,
            "manifest": self.manifest,
            # Left out for all columns, as in states of versions that knew no others.
            **({"fields": fields} if (fields := list(self.file_type.columns.fields)) else {}),
        }

    def check(self) -> None:
        """Make sure that the file can be written, before anything is read.

        Raises:
            UsageProblem: It cannot.
        """
        if self.limit and self.partition_count > 1:
            raise UsageProblem("--limit does not go with --partitions: leave one out")
        if self.path.exists() and not self.path.is_file():
            raise UsageProblem(f"--output {self.shown} is not a file: name one")
        folder = self.path.parent
        if not folder.is_dir():
            raise UsageProblem(f"--output {self.shown}: the folder {folder} is missing: create it")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageProblem(
                f"--output {self.shown}: the folder {folder} is not writable: change its permissions,"
                " or name a file in another folder"
            )
