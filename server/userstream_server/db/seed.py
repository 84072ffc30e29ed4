"""Filling `user_data`: from a CSV file as it streams, from made-up users, or from the sample."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from tempfile import mkstemp

from userstream_server.db.csv_users import Reject, read_users
from userstream_server.db.rows import UserRow
from userstream_server.db.synthetic import KeyKind, synthetic_users
from userstream_server.db.url import DatabaseUrl
from userstream_server.db.writers import open_writer

__all__ = [
    "SeedReport",
    "ensure_embedded",
    "seed_csv",
    "seed_sample",
    "seed_synthetic",
    "seed_users",
]

_TRANSACTION_ROWS = 10_000
Progress = Callable[[int], None]
"""Called with the number of rows done since the last call."""


@dataclass(slots=True)
class SeedReport:
    """What seeding did.

    Attributes:
        new_users: Users added.
        known_users: Users that were there already, or stood twice in the input.
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
    progress: Progress = lambda _: None,
) -> SeedReport:
    """Add the users of a CSV file of any size; see `csv_users.read_users` for its format.

    Args:
        url: The database; it and the table are created where missing.
        path: The CSV file.
        rejects: Where to write rows that are no users (line, reason, fields); beside the CSV file by default. It is
            written only when there are any. It holds personal data, as the CSV file does.
        progress: Told about rows as they are done.

    Raises:
        CsvFormatError: The file has no usable header.
        OSError: A file cannot be read or written.
        UserStreamError: The database is away or refuses.
    """
    report = SeedReport()
    rejects = rejects or path.with_name(path.name + ".rejects.csv")
    with ExitStack() as stack:
        users = _without_rejects(read_users(path), rejects, report, stack)
        _add(url, users, report, progress)
    return report


def seed_synthetic(
    url: DatabaseUrl,
    rows: int,
    *,
    random_seed: int = 1,
    key_kind: KeyKind = "uuid4",
    progress: Progress = lambda _: None,
) -> SeedReport:
    """Add made-up users; see `synthetic.synthetic_users`. Raises UserStreamError."""
    return seed_users(
        url, synthetic_users(rows, random_seed=random_seed, key_kind=key_kind), progress
    )


def seed_sample(url: DatabaseUrl) -> SeedReport:
    """Add the 1,000 users of the sample that ships with the package. Raises UserStreamError."""
    with as_file(files("userstream_server").joinpath("data/user_data.csv")) as path:
        return seed_csv(url, path)


def seed_users(
    url: DatabaseUrl, users: Iterable[UserRow], progress: Progress = lambda _: None
) -> SeedReport:
    """Add any users. Raises UserStreamError."""
    report = SeedReport()
    _add(url, users, report, progress)
    return report


def ensure_embedded(url: DatabaseUrl) -> None:
    """Create and fill a SQLite file that is missing or empty with the sample; leave any other alone.

    The file appears whole or not at all, also when two servers start at once.
    """
    path = url.path
    if path is None or (path.exists() and path.stat().st_size):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        seed_sample(DatabaseUrl("sqlite", path=temporary))
        if path.exists():  # empty
            temporary.replace(path)
        else:
            with suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _add(
    url: DatabaseUrl, users: Iterable[UserRow], report: SeedReport, progress: Progress
) -> None:
    iterator = iter(users)
    with open_writer(url) as writer:
        while batch := list(islice(iterator, _TRANSACTION_ROWS)):
            new = writer.add(batch)
            report.new_users += new
            report.known_users += len(batch) - new
            progress(len(batch))
        writer.finish()


def _without_rejects(
    rows: Iterable[UserRow | Reject], rejects: Path, report: SeedReport, stack: ExitStack
) -> Iterator[UserRow]:
    """Pass the users on and write the rest down."""
    write = None
    for row in rows:
        if not isinstance(row, Reject):
            yield row
            continue
        if write is None:
            # What was not UTF-8 is written back as it was.
            file = stack.enter_context(
                rejects.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            )
            write = csv.writer(file).writerow
            write(["line", "reason", "fields"])
            report.rejects = rejects
        write([row.line, row.reason, *row.fields])
        report.rejected_rows += 1
