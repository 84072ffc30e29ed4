"""Storing users in MySQL or MariaDB, with many rows in a statement."""

import random
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from userstream_server.databases.mysql.connecting import DRIVER_ERRORS, connect_any
from userstream_server.databases.mysql.errors import translate_error
from userstream_server.databases.mysql.table import described_table
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.table_check import unfit_table
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import ConflictError, PreconditionError
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table
from userstream_server.rows.types import UserRow
from userstream_server.seeding.batches import BatchOutcome, Inserted, store_batch
from userstream_server.seeding.schema import schema
from userstream_server.seeding.stored_users import by_key, parts

__all__ = ["mysql_writer"]

_STATEMENT_ROWS = 2000
"""Users in one INSERT: a few hundred kilobytes for usual ones."""
_STATEMENT_BYTES = 900_000
"""An INSERT that is longer is split: some servers have a max_allowed_packet of 1 MiB."""
_KEYS_PER_SELECT = 500
"""MariaDB makes a join of a longer list, which then reads the whole table."""
_ATTEMPTS = 10
"""How often a batch is tried when the database broke a deadlock with somebody else who writes."""
_LONGEST_PAUSE_SECONDS = 0.5
_DUPLICATE_KEY = 1062
_FIND_DATABASE = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
_SESSION = (
    # A global transaction_read_only would refuse every INSERT.
    "SET SESSION TRANSACTION READ WRITE",
    # A global unique_checks=0 could let duplicates in, and a second seed may hold its locks for a while.
    "SET SESSION unique_checks = 1, innodb_lock_wait_timeout = 50",
)
_INSERT = "INSERT INTO user_data (user_id, name, email, age) VALUES "
# Keeps what is stored, and unlike INSERT IGNORE still refuses what does not fit.
_KEEP = " ON DUPLICATE KEY UPDATE user_id = user_data.user_id"
# The row that a key forbids may be another user's, with the same e-mail: only the same user_id is written.
_REPLACE = " ON DUPLICATE KEY UPDATE " + ", ".join(
    f"{column} = IF(user_data.user_id = VALUES(user_id), VALUES({column}), user_data.{column})"
    for column in ("name", "email", "age")
)
_SELECT = "SELECT user_id, name, email, age FROM user_data WHERE user_id IN "
# Reads what is committed now and keeps it so, not the state in which the transaction began.
_CURRENT = " LOCK IN SHARE MODE"


@contextmanager
def mysql_writer(url: DatabaseUrl, *, update: bool) -> Iterator["_MySQLWriter"]:
    """Connect for seeding, creating database and table where they are missing. Raises UserStreamError."""
    connection, _ = connect_any(DatabaseOptions(url), tuple(url.hosts), writing=True)
    try:
        yield _MySQLWriter(connection, url.database, update=update)
    except DRIVER_ERRORS as error:
        raise translate_error(error) from error
    finally:
        with suppress(*DRIVER_ERRORS):
            connection.close()


class _MySQLWriter:
    """A `writers.Writer`, and the `batches.Table` that it writes to."""

    def __init__(self, connection: Any, database: str, *, update: bool) -> None:
        self._connection = connection
        self._replace = update
        # Whether the users of the batch before were mostly stored already, as when a file is seeded again.
        self._mostly_known = False
        for statement in _SESSION:
            self._run(statement)
        quoted = "`" + database.replace("`", "``") + "`"
        # What is there is not created again: that takes rights which adding users does not.
        if not self._rows(_FIND_DATABASE, (database,)):
            self._run(f"CREATE DATABASE IF NOT EXISTS {quoted} CHARACTER SET utf8mb4")
        self._run(f"USE {quoted}")
        # Without its key, seeding twice would add everyone twice.
        _refuse_others(self._table())
        connection.commit()

    def add(self, users: Sequence[UserRow]) -> BatchOutcome:
        """Store users in one transaction; retry it when the database broke a deadlock with another one."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._add(users)
            except DRIVER_ERRORS as error:
                if not isinstance(translate_error(error), ConflictError) or attempt == _ATTEMPTS:
                    raise
            time.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311 - no secret
        raise AssertionError("the last attempt returns or raises")

    def finish(self) -> None:
        """Bring the statistics up to date."""
        self._rows("ANALYZE TABLE user_data")

    def insert(self, users: Sequence[UserRow]) -> Inserted:
        """Add users, leaving out those that a unique key forbids."""
        inserted = Inserted()
        for some in parts(users, _STATEMENT_ROWS):
            self._insert(some, inserted)
        return inserted

    def known(self, user_ids: Collection[str]) -> dict[str, UserRow]:
        """Return the users stored under these keys when the transaction began."""
        return self._select(user_ids, "")

    def stored(self, user_ids: Collection[str]) -> dict[str, UserRow]:
        """Return the users stored under these keys, as of now."""
        return self._select(user_ids, _CURRENT)

    def update(self, users: Sequence[UserRow]) -> list[UserRow]:
        """Replace the values of stored users; return those that a unique key forbids."""
        refused: list[UserRow] = []
        for some in parts(users, _STATEMENT_ROWS):
            refused += self._update(some)
        return refused

    def _add(self, users: Sequence[UserRow]) -> BatchOutcome:
        try:
            outcome = store_batch(self, users, update=self._replace, look_first=self._mostly_known)
            self._connection.commit()
        except BaseException:
            with suppress(Exception):
                self._connection.rollback()
            raise
        self._mostly_known = outcome.new * 2 < len(users)
        return outcome

    def _select(self, user_ids: Collection[str], lock: str) -> dict[str, UserRow]:
        rows: list[Any] = []
        for some in parts(sorted(user_ids), _KEYS_PER_SELECT):
            keys = ",".join(f"'{_escape(user_id)}'" for user_id in some)
            rows += self._rows(f"{_SELECT}({keys}){lock}")
        return by_key(user_ids, rows)

    def _insert(self, users: Sequence[UserRow], inserted: Inserted) -> None:
        text = _statement(users, _KEEP)
        if len(text) > _STATEMENT_BYTES and len(users) > 1:
            for half in parts(users, (len(users) + 1) // 2):
                self._insert(half, inserted)
            return
        new = self._run(text)
        inserted.new += new
        if new < len(users):
            inserted.unclear += users

    def _update(self, users: Sequence[UserRow]) -> list[UserRow]:
        text = _statement(users, _REPLACE)
        if len(text) > _STATEMENT_BYTES and len(users) > 1:
            return self._update_halves(users)
        try:
            # Each replaced row counts as two.
            if self._run(text) == 2 * len(users):
                return []
        except DRIVER_ERRORS as error:
            if getattr(error, "errno", None) != _DUPLICATE_KEY:
                raise
            return self._update_halves(users) if len(users) > 1 else list(users)
        stored = self.stored([user.user_id for user in users])
        return [user for user in users if stored.get(user.user_id) != user]

    def _update_halves(self, users: Sequence[UserRow]) -> list[UserRow]:
        halves = parts(users, (len(users) + 1) // 2)
        return [user for half in halves for user in self._update(half)]

    def _run(self, text: str | bytes) -> int:
        return int(self._connection.cmd_query(text).get("affected_rows", 0))

    def _table(self) -> Table:
        """Return what the table is; create it where it is missing."""
        try:
            return described_table(self._read)
        except PreconditionError as error:
            if error.reason != "TABLE_MISSING":
                raise
        self._run(schema("schema.sql"))
        return described_table(self._read)

    def _read(self, query: Query) -> list[list[Any]]:
        return [self._rows(query.text, query.parameters)]

    def _rows(self, text: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        with self._connection.cursor(raw=True) as cursor:
            cursor.execute(text, parameters)
            return list(cursor.fetchall())


def _refuse_others(table: Table) -> None:
    """Refuse a table that can be served but is not written to."""
    if table.is_view:
        raise unfit_table("it is a view, which seeding does not write to. Fill the table below it.")
    if table.key_type != "text":
        raise unfit_table(
            "its user_id is not text, and seeding writes text. Fill it with SQL, or seed another database."
        )
    if table.name != "user_data":
        raise unfit_table(
            f"it is called {table.name}. RENAME TABLE {table.name} TO user_data, which is what seeding writes to."
        )


def _statement(users: Sequence[UserRow], on_duplicate: str) -> bytes:
    return (_INSERT + ",".join(map(_literal, users)) + on_duplicate).encode()


def _literal(user: UserRow) -> str:
    """Return one row of VALUES.

    The connection's sql_mode is set by us, so a backslash escapes and doubling a quote is enough; the driver's own
    substitution, a regular expression per value, would take most of the time of seeding.
    """
    user_id, name, email, age = user
    return f"('{_escape(user_id)}','{_escape(name)}','{_escape(email)}',{age:d})"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")
