"""Filling `user_data`: from a CSV file as it streams, from made-up users, or from the sample."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from errno import EEXIST
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from tempfile import mkstemp

from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.rows.types import UserRow
from userstream_server.seeding.batches import BatchOutcome
from userstream_server.seeding.csv_source import STDIN, open_source
from userstream_server.seeding.csv_users import read_open_file
from userstream_server.seeding.rejects import Reject, Rejects, SourceRow, rejected
from userstream_server.seeding.synthetic import KeyKind, synthetic_users
from userstream_server.seeding.writers import open_writer

__all__ = [
    "BATCH_ROWS",
    "Progress",
    "SeedInterrupted",
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
        unchanged_users: Users that were stored already with the same values, or came before in the input.
        updated_users: Users whose stored values were replaced.
        reasons: How many rows were rejected for each reason.
        rejects: The file that lists them; None when there are none, or none was wanted.
    """

    new_users: int = 0
    unchanged_users: int = 0
    updated_users: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    rejects: Path | None = None

    @property
    def rejected_rows(self) -> int:
        """How many rows were not stored."""
        return self.reasons.total()

    def count(self, outcome: BatchOutcome) -> None:
        """Add what became of a batch."""
        self.new_users += outcome.new
        self.unchanged_users += outcome.unchanged
        self.updated_users += outcome.updated


class SeedInterrupted(KeyboardInterrupt):
    """Ctrl-C ended seeding between two batches.

    Attributes:
        report: What was stored until then, without the batch that was under way.
    """

    def __init__(self, report: SeedReport) -> None:
        super().__init__()
        self.report = report


def seed_csv(
    url: DatabaseUrl,
    path: Path,
    *,
    rejects: Path | None = None,
    update: bool = False,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
) -> SeedReport:
    """Store the users of a CSV file of any size; `csv_users.read_open_file` describes its format.

    Args:
        url: The database; it and the table are created where missing.
        path: The CSV file; with a name in .gz it is decompressed, `-` is standard input.
        rejects: Where to write rows that are not stored (line, reason, fields), not in the order of their lines; beside
            the CSV file by default. It is written only when there are any, and holds personal data, as the CSV does.
        update: Replace what is stored for a user and differs; otherwise such a row is rejected as a conflict.
        batch_rows: Users in one transaction.
        progress: Told about bytes of the file as they are done.

    Raises:
        CsvFormatError: The file has no usable header. The database is not touched.
        FileExistsError: The rejects would overwrite the CSV file.
        OSError, EOFError, zlib.error: A file cannot be read or written; the last two for a damaged .gz file.
        UserStreamError: The database is away or refuses. What was added before stays.
    """
    rejects = rejects or _beside(path)
    with open_source(path) as source, Rejects(rejects) as listed:
        if source.is_file(rejects):
            raise FileExistsError(EEXIST, "would be overwritten by its own rejects", str(rejects))
        rows = _without_rejects(read_open_file(source.text), listed)
        told_bytes = 0

        def batch_done(_users: int) -> None:
            nonlocal told_bytes
            told_bytes, before = source.done_bytes, told_bytes
            progress(told_bytes - before)

        return _store(
            url, rows, listed, update=update, batch_rows=batch_rows, batch_done=batch_done
        )


def seed_synthetic(
    url: DatabaseUrl,
    rows: int,
    *,
    random_seed: int = 1,
    key_kind: KeyKind = "uuid4",
    rejects: Path | None = None,
    update: bool = False,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
) -> SeedReport:
    """Store made-up users of `synthetic.synthetic_users`; conflicts are written to `rejects`, if one is given.

    Raises:
        OSError: The rejects cannot be written.
        UserStreamError: The database is away or refuses.
    """
    users = synthetic_users(rows, random_seed=random_seed, key_kind=key_kind)
    with Rejects(rejects) as listed:
        return _store(
            url,
            _numbered(users),
            listed,
            update=update,
            batch_rows=batch_rows,
            batch_done=progress,
        )


def seed_sample(
    url: DatabaseUrl, *, rejects: Path | None = None, update: bool = False
) -> SeedReport:
    """Store the 1,000 users of the sample that ships with the package; conflicts are written to `rejects`.

    Raises:
        OSError: The rejects cannot be written.
        UserStreamError: The database is away or refuses.
    """
    with as_file(files("userstream_server.seeding").joinpath("data/user_data.csv")) as path:
        return seed_csv(url, path, rejects=rejects or _beside(STDIN), update=update)


def seed_users(
    url: DatabaseUrl,
    users: Iterable[UserRow],
    progress: Progress = lambda _: None,
    *,
    update: bool = False,
) -> SeedReport:
    """Store any users; conflicts are only counted. Raises UserStreamError."""
    with Rejects(None) as listed:
        return _store(url, _numbered(users), listed, update=update, batch_done=progress)


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


def _store(
    url: DatabaseUrl,
    rows: Iterator[SourceRow],
    rejects: Rejects,
    *,
    update: bool,
    batch_done: Progress,
    batch_rows: int = BATCH_ROWS,
) -> SeedReport:
    """Store the rows in batches, one batch in a second thread while the next is being read."""
    report = SeedReport(reasons=rejects.reasons)
    try:
        with (
            open_writer(url, update=update) as writer,
            ThreadPoolExecutor(max_workers=1) as thread,
        ):
            writing: Future[BatchOutcome] | None = None
            batch: list[SourceRow] = []
            while (following := list(islice(rows, batch_rows))) or writing:
                if writing:
                    report.count(outcome := writing.result())
                    _reject_conflicts(batch, outcome, rejects)
                    batch_done(len(batch))
                batch = following
                writing = (
                    thread.submit(writer.add, [user for user, _, _ in batch]) if batch else None
                )
            writer.finish()
    except KeyboardInterrupt:
        raise SeedInterrupted(report) from None
    report.rejects = rejects.path
    return report


def _reject_conflicts(batch: list[SourceRow], outcome: BatchOutcome, rejects: Rejects) -> None:
    for position, reason in outcome.conflicts:
        rejects.add(rejected(batch[position], reason))


def _without_rejects(rows: Iterator[SourceRow | Reject], rejects: Rejects) -> Iterator[SourceRow]:
    """Pass the users on and write the rest down."""
    for row in rows:
        if isinstance(row, tuple):
            yield row
        else:
            rejects.add(row)


def _numbered(users: Iterable[UserRow]) -> Iterator[SourceRow]:
    return ((user, number, None) for number, user in enumerate(users, start=1))


def _beside(path: Path) -> Path:
    """Return where the rejects of a CSV file go; those of a pipe, such as /dev/stdin, to the current folder."""
    if path.is_file() and path != STDIN:
        return path.with_name(path.name + ".rejects.csv")
    return Path("users.rejects.csv")
