"""The receipt beside an export: `FILE.manifest.json` says what the file holds, to be checked years later."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zlib import crc32

from userstream_client.cli._columns import ALL_COLUMNS, Columns
from userstream_client.cli._compression import Compression
from userstream_client.cli._file_types import FileFormat, FileType
from userstream_client.cli._problems import UsageProblem
from userstream_client.models import Consistency, Freshness, User, UserFilter

__all__ = ["Digest", "Figures", "Manifest", "client_version", "digest_of"]

_VERSION = 1
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Digest:
    """What identifies a file's bytes: how many there are, and their SHA-256 in hexadecimal digits."""

    size_bytes: int
    sha256: str


def digest_of(path: Path) -> Digest:
    """Read a file and return its digest.

    Raises:
        OSError: It cannot be read.
    """
    size, found = 0, sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            size += len(piece)
            found.update(piece)
    return Digest(size, found.hexdigest())


@dataclass(slots=True)
class Figures:
    """Count and CRC-32 of users as a receipt has them, updated while users are read."""

    user_count: int = 0
    user_id_crc32: int = 0

    def add(self, users: Iterable[User]) -> None:
        """Take the next users, in order."""
        ids = [user[0] for user in users]
        self.user_count += len(ids)
        self.user_id_crc32 = crc32("".join(ids).encode(), self.user_id_crc32)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export holds, and how it came to be.

    Attributes:
        file: The export's name, without its folder.
        format: `csv`, `ndjson`, `parquet` or `arrow`.
        compression: `none`, `gzip` or `zstd`.
        size_bytes: The file's size.
        sha256: SHA-256 of the file, in hexadecimal digits.
        user_count: Users in the file.
        user_id_crc32: CRC-32 (zlib's) over their user_ids in order, as in the server's receipt.
        filter: The filter's four conditions.
        limit: The most users that were asked for; 0 for all.
        consistency: `live` or `snapshot`.
        partitions: Key ranges that were read side by side; with `snapshot`, each had a read view of its own.
        started_at: When the export began, in UTC (ISO 8601).
        finished_at: When the file was complete, in UTC.
        server_version: The server's; None where the server does not say it.
        client_version: This program's; None where it is not installed.
        fields: The columns, where it does not hold all; None for all, and then left out of the file.
        freshness: `kept` or `unknown`, the worst of the partitions' receipts; None where they say nothing, as with one
            database host, and then left out of the file.
    """

    file: str
    format: str
    compression: str
    size_bytes: int
    sha256: str
    user_count: int
    user_id_crc32: int
    filter: dict[str, Any]
    limit: int
    consistency: str
    partitions: int
    started_at: str
    finished_at: str
    server_version: str | None = None
    client_version: str | None = None
    fields: list[str] | None = None
    freshness: str | None = None
    manifest_version: int = field(default=_VERSION)

    @staticmethod
    def path_for(export: Path) -> Path:
        """Return where the manifest of an export lies."""
        return export.with_name(f"{export.name}.manifest.json")

    def text(self) -> str:
        """Return it as JSON."""
        values = asdict(self)
        for name in ("fields", "freshness"):
            # Versions that do not know these can still read the manifests that need none.
            if values[name] is None:
                del values[name]
        return json.dumps(values, indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest.

        Raises:
            UsageProblem: It cannot be read, or is none.
        """
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            found.check()
        except OSError as error:
            raise UsageProblem(f"cannot read {path}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise UsageProblem(
                f"{path} is damaged or of another version of userstream; use --against table instead"
            ) from None
        return found

    def check(self) -> None:
        """Make sure that the fields hold what they should.

        Raises:
            ValueError: One does not, or the manifest is of another version.
            TypeError: The filter has other conditions.
        """
        if self.manifest_version != _VERSION:
            raise ValueError(self.manifest_version)
        numbers = (self.size_bytes, self.user_count, self.user_id_crc32, self.limit)
        if not all(type(number) is int for number in numbers) or not isinstance(self.sha256, str):
            raise ValueError(numbers)
        _ = (self.file_type, self.where, Consistency(self.consistency))
        if self.freshness is not None:
            Freshness(self.freshness)

    @property
    def file_type(self) -> FileType:
        """The file's format, compression and columns."""
        return FileType(FileFormat(self.format), Compression(self.compression), self.columns)

    @property
    def columns(self) -> Columns:
        """The file's columns.

        Raises:
            ValueError: There are none like these.
        """
        if self.fields is None:
            return ALL_COLUMNS
        named = tuple(name for name in User._fields if name in self.fields)
        if not self.fields or list(named) != self.fields or named[0] != User._fields[0]:
            raise ValueError(self.fields)
        return Columns(named)

    @property
    def where(self) -> UserFilter:
        """Which users were asked for."""
        return UserFilter(**self.filter)


def client_version() -> str | None:
    """Return this program's version; None where it is not installed."""
    try:
        return version("userstream")
    except PackageNotFoundError:
        return None
