"""A writer to a replication group, and the check that no stream over its members goes back in time.

Each row names the write that made it, so that a stream shows which writes its host had executed. A member executes
writes in their order: whoever has seen one of them must from then on see all before it.
"""

import random
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Self
from uuid import UUID

import mysql.connector
from userstream_server.databases.url import DatabaseUrl

__all__ = ["GroupWriter", "Row", "Write", "check_fresh"]

Row = tuple[str, str]
"""A user_id and the name beside it."""
_GONE_SECONDS = 2


@dataclass
class Write:
    """One write.

    Attributes:
        number: From 1 on, in the order of their commits.
        user_id: Whose row.
        is_delete: Whether the row is gone after it.
        end: When it was answered; None where nobody knows whether it was committed.
    """

    number: int
    user_id: str
    is_delete: bool
    end: float | None = None


class GroupWriter:
    """Writes at random to whichever member is the primary; a context manager.

    Args:
        primary_url: Returns the primary's URL, with the database; raises while there is none.
        user_ids: The rows at the start.
    """

    def __init__(self, primary_url: Callable[[], str], user_ids: Sequence[str]) -> None:
        self._primary_url = primary_url
        self._rng = random.Random(len(user_ids))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._connection: Any = None
        # Rows of which is known whether they are there.
        self._known = list(user_ids)
        self.writes: list[Write] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(mysql.connector.Error, RuntimeError):
                self._write()
            sleep(0.002)
        self._drop()

    def _write(self) -> None:
        if self._connection is None:
            self._connection = _connect(self._primary_url())
        write, statement, values = self._next()
        self.writes.append(write)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values)
        except mysql.connector.Error:
            self._drop()
            raise
        write.end = monotonic()
        if not write.is_delete:
            self._known.append(write.user_id)

    def _next(self) -> tuple[Write, str, tuple[Any, ...]]:
        number, kind = len(self.writes) + 1, self._rng.choice("iud")
        name = f"Write {number}"
        if kind == "i" or len(self._known) < 100:
            user_id = str(UUID(int=self._rng.getrandbits(128), version=4))
            row = (user_id, name, "someone@example.com", 30)
            insert = "INSERT INTO user_data VALUES (%s, %s, %s, %s)"
            return Write(number, user_id, is_delete=False), insert, row
        # Known again only once the database has answered.
        user_id = self._known.pop(self._rng.randrange(len(self._known)))
        if kind == "u":
            update = "UPDATE user_data SET name = %s WHERE user_id = %s"
            return Write(number, user_id, is_delete=False), update, (name, user_id)
        delete = "DELETE FROM user_data WHERE user_id = %s"
        return Write(number, user_id, is_delete=True), delete, (user_id,)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(mysql.connector.Error):
                connection.close()


def _connect(url: str) -> Any:
    parsed = DatabaseUrl.parse(url)
    ((host, port),) = parsed.hosts
    return mysql.connector.connect(
        host=host,
        port=port,
        user=parsed.user,
        password=parsed.password,
        database=parsed.database,
        autocommit=True,
        connection_timeout=_GONE_SECONDS,
        read_timeout=_GONE_SECONDS,
        write_timeout=_GONE_SECONDS,
    )


def check_fresh(
    start: Sequence[str], writes: Sequence[Write], began_at: float, rows: Sequence[Row]
) -> int:
    """Hold a stream's rows, in the order they came, against the writes.

    Args:
        start: The user_ids before the first write.
        writes: All writes up to now.
        began_at: From when on a host may be behind: whatever was written before must have come.
        rows: What the stream sent.

    Returns:
        How many writes the stream has seen at its end.

    Raises:
        AssertionError: The stream went back in time, or lacks a row, or has one that never was.
    """
    of_row: defaultdict[str, list[Write]] = defaultdict(list)
    for write in writes:
        of_row[write.user_id].append(write)
    seen = max((w.number for w in writes if w.end and w.end < began_at), default=0)
    got = {user_id: int(name.removeprefix("Write ")) for user_id, name in rows}
    for user_id in sorted({*start, *of_row, *got}):
        numbers = [write.number for write in of_row[user_id]]
        known = of_row[user_id][: bisect_right(numbers, seen)]
        later = of_row[user_id][len(known) :]
        if user_id not in got:
            may_be_gone = any(write.is_delete for write in later)
            last = next((write for write in reversed(known) if write.end), None)
            unsure = any(write.end is None for write in known)
            lives = user_id in start if last is None else not last.is_delete
            assert may_be_gone or unsure or not lives, "a row that lived throughout is missing"
            continue
        number = got[user_id]
        assert number in {0, *numbers}, "a row that was never written"
        newest = max((write.number for write in known if write.end), default=0)
        assert number >= newest, "the stream went back in time"
        seen = max(seen, number)
    return seen
