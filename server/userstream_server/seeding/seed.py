"""Filling `user_data`: from a CSV file as it streams, from made-up users, or from the sample."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from errno import EEXIST
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from tempfile import mkstemp
from typing import TextIO

from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.rows.types import UserRow
from userstream_server.seeding.csv_users import Reject, open_csv, read_open_file
from userstream_server.seeding.synthetic import KeyKind, synthetic_users
from userstream_server.seeding.writers import open_writer

__all__ = [
    "BATCH_ROWS",
    "Progress",
    "SeedReport",
    "ensure_embedded",
    "seed_csv",
    "seed_sample",
    "seed_synthetic",
    "seed_users",
]

BATCH_ROWS = 10_000
"""Users in one transaction, unless said otherwise."""
Progress = Callable[[int], None]
"""Called after each transaction with what was done since the last call: users, or bytes of a CSV file."""


@dataclass(slots=True)
class SeedReport:
    """What seeding did.

    Attributes:
        new_users: Users added.
        known_users: Users whose user_id was there already, in the database or further up in the input; they stay as
            they were.
        rejected_rows: Rows that are no users.
        rejects: The file that says why; None when there are none.
    """

    new_users: int = 0
    known_users: int = 0
    rejected_rows: int = 0
    rejects: Path | None = None


def seed_csv(
    url: DatabaseUrl,
    path: Path,
    *,
    rejects: Path | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
) -> SeedReport:
    """Add the users of a CSV file of any size; see `csv_users.read_users` for its format.

    Args:
        url: The database; it and the table are created where missing.
        path: The CSV file.
        rejects: Where to write rows that are no users (line, reason, fields); beside the CSV file by default. It is
            written only when there are any. It holds personal data, as the CSV file does.
        batch_rows: Users in one transaction.
        progress: Told about bytes of the file as they are done.

    Raises:
        CsvFormatError: The file has no usable header.
        FileExistsError: The rejects would overwrite the CSV file.
        OSError: A file cannot be read or written.
        UserStreamError: The database is away or refuses. What was added before stays.
    """
    report = SeedReport()
    rejects = rejects or _beside(path)
    if rejects.exists() and rejects.samefile(path):
        raise FileExistsError(EEXIST, "would be overwritten by its own rejects", str(rejects))
    with ExitStack() as stack:
        file = stack.enter_context(open_csv(path))
        told_bytes = 0

        def batch_done(_users: int) -> None:
            nonlocal told_bytes
            if file.seekable():  # a pipe has no position
                told_bytes, before = file.buffer.tell(), told_bytes
                progress(told_bytes - before)

        users = _without_rejects(read_open_file(file), rejects, report, stack)
        _add(url, users, report, batch_rows, batch_done)
    return report


def seed_synthetic(
    url: DatabaseUrl,
    rows: int,
    *,
    random_seed: int = 1,
    key_kind: KeyKind = "uuid4",
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
) -> SeedReport:
    """Add made-up users; see `synthetic.synthetic_users`. Raises UserStreamError."""
    report = SeedReport()
    users = synthetic_users(rows, random_seed=random_seed, key_kind=key_kind)
    _add(url, users, report, batch_rows, progress)
    return report


def seed_sample(url: DatabaseUrl) -> SeedReport:
    """Add the 1,000 users of the sample that ships with the package. Raises UserStreamError."""
    with as_file(files("userstream_server.seeding").joinpath("data/user_data.csv")) as path:
        return seed_csv(url, path)


def seed_users(
    url: DatabaseUrl, users: Iterable[UserRow], progress: Progress = lambda _: None
) -> SeedReport:
    """Add any users. Raises UserStreamError."""
    report = SeedReport()
    _add(url, users, report, BATCH_ROWS, progress)
    return report


def ensure_embedded(url: DatabaseUrl) -> None:
    """Create and fill a SQLite file that is missing or empty with the sample; leave any other alone.

    The file appears whole or not at all, also when two servers start at once.

    Raises:
        PreconditionError: The file cannot be made there.
    """
    path = url.path
    try:
        if path is not None and not (path.exists() and path.stat().st_size):
            _make_embedded(path)
    except OSError as error:
        raise PreconditionError(
            "DATABASE_FILE",
            "The SQLite file in USERSTREAM_DATABASE_URL cannot be made. Name one in a folder that"
            " can be written to.",
        ) from error


def _make_embedded(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        seed_sample(DatabaseUrl("sqlite", path=temporary))
        # Both of two starters make the same file, so it does not matter whose stays. Only a file
        # that something was put into meanwhile must.
        if not path.exists() or not path.stat().st_size:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _add(
    url: DatabaseUrl,
    users: Iterable[UserRow],
    report: SeedReport,
    batch_rows: int,
    batch_done: Progress,
) -> None:
    """Write the users in batches, one batch in a second thread while the next is being read."""
    iterator = iter(users)
    with open_writer(url) as writer, ThreadPoolExecutor(max_workers=1) as thread:
        writing: Future[int] | None = None
        batch: list[UserRow] = []
        while (following := list(islice(iterator, batch_rows))) or writing:
            if writing:
                new = writing.result()
                report.new_users += new
                report.known_users += len(batch) - new
                batch_done(len(batch))
            batch = following
            writing = thread.submit(writer.add, batch) if batch else None
        writer.finish()


def _without_rejects(
    rows: Iterable[UserRow | Reject], rejects: Path, report: SeedReport, stack: ExitStack
) -> Iterator[UserRow]:
    """Pass the users on and write the rest down."""
    write = None
    for row in rows:
        if isinstance(row, UserRow):
            yield row
            continue
        if write is None:
            write = csv.writer(stack.enter_context(_open_rejects(rejects))).writerow
            write(["line", "reason", "fields"])
            report.rejects = rejects
        write([row.line, row.reason, *row.fields])
        report.rejected_rows += 1


def _beside(path: Path) -> Path:
    """Return where the rejects of a CSV file go; those of a pipe, such as /dev/stdin, to the current folder."""
    return (
        path.with_name(path.name + ".rejects.csv") if path.is_file() else Path("users.rejects.csv")
    )


def _open_rejects(path: Path) -> TextIO:
    """Open the rejects file for its owner alone; what was not UTF-8 is written back as it was."""
    return open(
        path,
        "w",
        encoding="utf-8",
        errors="surrogateescape",
        newline="",
        opener=lambda name, flags: os.open(name, flags, 0o600),
    )
