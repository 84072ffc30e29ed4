"""An export against the manifest that was written beside it."""

from pathlib import Path

from userstream_client.cli._file_types import FileType
from userstream_client.cli._manifest import Figures, Manifest, digest_of
from userstream_client.cli._problems import DamagedFile
from userstream_client.cli._reading import read_users, taken
from userstream_client.cli.verify.findings import Comparison, shown_id
from userstream_client.models import User

__all__ = ["compare_with_manifest"]

_READ_ROWS = 10_000


def compare_with_manifest(path: Path, file_type: FileType, manifest: Manifest) -> Comparison:
    """Compare the file's bytes and its users with what the manifest says of them.

    Raises:
        OSError: The file could not be read.
    """
    expected = Figures(manifest.user_count, manifest.user_id_crc32)
    found = _Found()
    damage = found.read(path, file_type)
    findings = _differing_bytes(path, manifest)
    if found.figures != expected:
        findings += found.oddities
    elif findings and not damage:
        findings.append(
            "the same user_ids in the same order: names, e-mails, ages or the bytes around them were changed;"
            " --against table says which"
        )
    return Comparison("its manifest", found.figures, expected, damage, tuple(findings))


def _differing_bytes(path: Path, manifest: Manifest) -> list[str]:
    digest = digest_of(path)
    findings = []
    if digest.size_bytes != manifest.size_bytes:
        findings.append(
            f"size: {digest.size_bytes:,} bytes, {manifest.size_bytes:,} in its manifest"
        )
    if digest.sha256 != manifest.sha256:
        findings.append("SHA-256: the file's differs from the manifest's")
    return findings


class _Found:
    """What a file holds: its figures, and the first user that does not come after the one before."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.oddities: list[str] = []
        self._last = ""

    def read(self, path: Path, file_type: FileType) -> DamagedFile | None:
        """Read the file to its end, or to where it is damaged."""
        users = read_users(path, file_type)
        while True:
            rows, damage = taken(users, _READ_ROWS)
            self._add(rows)
            if damage or not rows:
                return damage

    def _add(self, users: list[User]) -> None:
        if not self.oddities:
            self._look_at_order(users)
        self.figures.add(users)

    def _look_at_order(self, users: list[User]) -> None:
        for number, user in enumerate(users, self.figures.user_count + 1):
            if user.user_id <= self._last:
                kind = "doubled" if user.user_id == self._last else "out of order"
                self.oddities.append(f"{kind}: user {number:,}, {shown_id(user.user_id)}")
                return
            self._last = user.user_id
