"""What an export has safely on disk, so that it can resume: a small JSON file beside its output."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

from userstream_client.cli._manifest import Digest, Manifest
from userstream_client.cli._problems import ExportProblem
from userstream_client.models import Checkpoint, Freshness

__all__ = [
    "ExportState",
    "Part",
    "cut_to_safe_bytes",
    "fsync_folder",
    "manifest_draft",
    "now",
    "prove_parts",
    "whole_path",
]

_VERSION = 3
_READ_BYTES = 1024 * 1024


@dataclass(slots=True)
class Part:
    """One key range and the file its rows go to.

    Attributes:
        name: The file, beside the output.
        partition: The key range; empty for the whole table.
        byte_offset: How much of the file is safe, in bytes; anything after it is written again.
        crc32: CRC-32 of those bytes.
        checkpoint: Where to read on.
        done: Whether its receipt came and agreed.
        freshness: What that receipt says of the database hosts that were read.
    """

    name: str
    partition: str = ""
    byte_offset: int = 0
    crc32: int = 0
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    done: bool = False
    freshness: Freshness = Freshness.UNSPECIFIED


@dataclass(slots=True)
class ExportState:
    """All parts of an export.

    Attributes:
        options: What was asked for; another run must ask for the same to continue.
        parts: In key order.
        started_at: When the export began, in UTC (ISO 8601).
        publishing: The whole file, from just before it takes the output's place; None until then.
    """

    options: dict[str, Any]
    parts: list[Part]
    started_at: str
    publishing: Digest | None = None

    @property
    def user_count(self) -> int:
        """Users that are safely on disk."""
        return sum(part.checkpoint.user_count or 0 for part in self.parts)

    @property
    def freshness(self) -> Freshness:
        """The least that the receipts of the parts say."""
        said = {part.freshness for part in self.parts}
        ordered = (Freshness.UNKNOWN, Freshness.UNSPECIFIED, Freshness.KEPT)
        return next((value for value in ordered if value in said), Freshness.UNSPECIFIED)

    @property
    def size_bytes(self) -> int:
        """Bytes that are safely on disk."""
        return sum(part.byte_offset for part in self.parts)

    @staticmethod
    def path_for(output: Path) -> Path:
        """Return where the state of an export to `output` is kept."""
        return output.with_name(f".{output.name}.export.json")

    @classmethod
    def load(cls, output: Path) -> "ExportState | None":
        """Return the saved state; None without one.

        Raises:
            ExportProblem: It is damaged, or of another version of this program.
        """
        try:
            saved = json.loads(cls.path_for(output).read_text(encoding="utf-8"))
            if saved["version"] != _VERSION:
                raise ValueError("another version")  # noqa: TRY301 - reported as any other damage
            parts = [_part_from(part) for part in saved["parts"]]
            publishing = saved["publishing"] and Digest(**saved["publishing"])
            return cls(saved["options"], parts, saved["started_at"], publishing)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise ExportProblem(
                f"{cls.path_for(output).name} is damaged or of another version of userstream, so the export to"
                f" {output} cannot continue; repeat the command without --resume to start again"
            ) from None

    def save(self, output: Path) -> None:
        """Replace the saved state in one step."""
        text = json.dumps({"version": _VERSION, **asdict(self)})
        temporary = _temporary_of(self.path_for(output))
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)  # a full disk has better use for its bytes
            raise
        temporary.replace(self.path_for(output))

    def remove(self, output: Path) -> None:
        """Remove everything that the export keeps beside its output, the state itself last."""
        for part in self.parts:
            output.with_name(part.name).unlink(missing_ok=True)
        for path in (whole_path(output), manifest_draft(output)):
            path.unlink(missing_ok=True)
        self.path_for(output).unlink(missing_ok=True)


def whole_path(output: Path) -> Path:
    """Return where a file that is made of the parts grows."""
    return output.with_name(f".{output.name}.tmp")


def manifest_draft(output: Path) -> Path:
    """Return where the manifest waits until its file is published."""
    return output.with_name(f".{Manifest.path_for(output).name}.tmp")


def now() -> str:
    """Return the time in UTC, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _part_from(saved: dict[str, Any]) -> Part:
    part = Part(**{**saved, "checkpoint": Checkpoint(**saved["checkpoint"])})
    part.freshness = Freshness(part.freshness)
    return part


def _temporary_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp")


def prove_parts(state: ExportState, output: Path) -> None:
    """Check that every part still holds the safe bytes that the state says it does.

    Raises:
        ExportProblem: A part is missing, shortened or changed.
    """
    for part in state.parts:
        problem = _problem_of(output.with_name(part.name), part) if part.byte_offset else ""
        if problem:
            raise ExportProblem(
                f"{part.name} {problem} since it was written, so this export to {output} cannot continue;"
                " repeat the command without --resume to start again. This run published nothing"
            )


def cut_to_safe_bytes(state: ExportState, output: Path) -> None:
    """Cut off whatever stands in the parts' files after the bytes that `prove_parts` has proved."""
    for part in state.parts:
        os.truncate(output.with_name(part.name), part.byte_offset)


def _problem_of(path: Path, part: Part) -> str:
    try:
        with path.open("rb") as file:
            left, crc = part.byte_offset, 0
            while left and (piece := file.read(min(left, _READ_BYTES))):
                left -= len(piece)
                crc = crc32(piece, crc)
    except FileNotFoundError:
        return "was removed"
    if left:
        return "was shortened"
    return "" if crc == part.crc32 else "was changed"


def fsync_folder(folder: Path) -> None:
    """Make a rename in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
