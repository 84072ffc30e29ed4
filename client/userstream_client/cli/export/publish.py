"""From parts to the one file that was asked for, which appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from userstream_client.cli._file_types import COLUMNAR
from userstream_client.cli._manifest import Digest, Figures, Manifest, client_version, digest_of
from userstream_client.cli._problems import DamagedFile, ExportProblem
from userstream_client.cli._reading import read_users
from userstream_client.cli.export.columnar import write_columnar
from userstream_client.cli.export.plan import Plan
from userstream_client.cli.export.state import (
    ExportState,
    cut_to_safe_bytes,
    fsync_folder,
    manifest_draft,
    now,
    prove_parts,
    whole_path,
)
from userstream_client.models import Freshness, User

__all__ = ["finish", "is_published", "settle"]

_READ_ROWS = 10_000


def is_published(state: ExportState, output: Path) -> bool:
    """Say whether an export that was broken off had its file in place already: the digest tells."""
    return (
        state.publishing is not None and output.is_file() and state.publishing == digest_of(output)
    )


def finish(state: ExportState, plan: Plan, server_version: str | None = None) -> None:
    """Make the output of the parts, and remove them.

    Raises:
        ExportProblem: A part is not as it was written; nothing is published.
        OSError: It could not be written; the old output is as it was.
    """
    prove_parts(state, plan.path)
    cut_to_safe_bytes(state, plan.path)
    whole = _made_whole(state, plan)
    digest = digest_of(whole)
    if plan.manifest:
        _draft_manifest(state, plan, whole, digest, server_version)
    # A run that is killed from here on is recognised by this digest, whether the file was moved or not.
    state.publishing = digest
    state.save(plan.path)
    fsync_folder(plan.path.parent)
    # The old file's manifest goes first: it must never stand beside another file than its own.
    Manifest.path_for(plan.path).unlink(missing_ok=True)
    whole.replace(plan.path)
    settle(state, plan.path)


def settle(state: ExportState, output: Path) -> None:
    """Publish the manifest of a file that is in its place, and remove what the export kept."""
    draft = manifest_draft(output)
    if draft.exists():
        draft.replace(Manifest.path_for(output))
    fsync_folder(output.parent)
    state.remove(output)


def _made_whole(state: ExportState, plan: Plan) -> Path:
    paths = [plan.path.with_name(part.name) for part in state.parts]
    if plan.file_type.format in COLUMNAR:
        whole = whole_path(plan.path)
        write_columnar(whole, plan.file_type, paths)
    else:
        whole = paths[0]
        _append(state.parts[0].byte_offset, paths)
    _sync(whole)
    return whole


def _append(byte_offset: int, paths: list[Path]) -> None:
    """Append the other parts to the first; done again from its own end if it was interrupted."""
    with paths[0].open("r+b") as whole:
        whole.truncate(byte_offset)
        whole.seek(byte_offset)
        for path in paths[1:]:
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole, 1024 * 1024)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _draft_manifest(
    state: ExportState, plan: Plan, whole: Path, digest: Digest, server_version: str | None
) -> None:
    figures, freshness = _read_back(state, plan, whole), state.freshness
    manifest = Manifest(
        file=plan.path.name,
        format=plan.file_type.format.value,
        compression=plan.file_type.compression.value,
        size_bytes=digest.size_bytes,
        sha256=digest.sha256,
        user_count=figures.user_count,
        user_id_crc32=figures.user_id_crc32,
        filter=state.options["where"],
        limit=plan.limit,
        consistency=plan.consistency.value,
        partitions=plan.partition_count,
        started_at=state.started_at,
        finished_at=now(),
        server_version=server_version,
        client_version=client_version(),
        fields=list(plan.file_type.columns.fields) or None,
        freshness=None if freshness is Freshness.UNSPECIFIED else freshness.value,
    )
    draft = manifest_draft(plan.path)
    draft.write_text(manifest.text(), encoding="utf-8")
    _sync(draft)


def _read_back(state: ExportState, plan: Plan, whole: Path) -> Figures:
    """Return count and CRC-32 of what the file holds; they must be those of the receipts."""
    try:
        return _proved_figures(state, read_users(whole, plan.file_type))
    except DamagedFile as damage:
        raise ExportProblem(
            f"{plan.shown} was not published, because reading it back failed: {damage};"
            " repeat the command without --resume to start again"
        ) from None


def _proved_figures(state: ExportState, users: Iterator[User]) -> Figures:
    whole = Figures()
    for part in state.parts:
        receipt = Figures(part.checkpoint.user_count or 0, part.checkpoint.user_id_crc32 or 0)
        found = Figures()
        while rows := list(islice(users, min(_READ_ROWS, receipt.user_count - found.user_count))):
            found.add(rows)
            whole.add(rows)
        if found != receipt:
            raise DamagedFile("its users are not those of the receipt")
    if next(users, None) is not None:
        raise DamagedFile("it holds more users than the receipt")
    return whole
