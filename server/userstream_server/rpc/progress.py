"""How far a scan is: its users so far, and where its last key stands among all keys of the table.

A map of the keys (`rows/key_map.py`) says which share of the range's rows the scan has passed. If that
share brought so many users, the rest will bring as many per row: this covers filters too.
"""

import threading
from collections.abc import Callable
from time import monotonic

import structlog

from userstream_server.databases.database import Database
from userstream_server.errors import InternalError, UserStreamError
from userstream_server.rows.key_map import KeyMap, map_keys
from userstream_server.rows.key_ranges import KeyRanges
from userstream_server.rows.scan import EVERYONE, Scan
from userstream_server.rows.table import Table
from userstream_server.rpc.tokens import Position

__all__ = ["KeyMaps", "ScanProgress"]

_FROM_USERS = 500
"""Shorter scans are over before an estimate would help, and too short to tell how many rows match."""
_AGAIN_AFTER_SHARE = 0.1
"""An estimate is made again when a scan has this much more users: messages of one user must stay cheap."""
_MOST_BEFORE_END = 0.999
_MAP_SECONDS = 60.0
_MAKING_SECONDS = 10.0
# Without a filter each row is a user. Users per row then differ from 1 by the error of the map, which is small, or
# by much where the table has changed since.
_LEAST_RATIO, _MOST_RATIO = 0.87, 1.15
_CHANGED_BELOW, _CHANGED_ABOVE = 0.7, 1.4
_log = structlog.get_logger()


class KeyMaps:
    """Makes maps of the table's keys in the background, and keeps one for all calls.

    Args:
        database: Where the table is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._made: tuple[Table, KeyMap | None] | None = None
        self._due_at = 0.0

    def get(self, table: Table) -> KeyMap | None:
        """Return the map of a table; None while there is none. An old one is returned while a new one is made.

        There is none for MariaDB's type UUID, whose order is not that of the text.
        """
        if table.key_type == "uuid":
            return None
        if monotonic() >= self._due_at:
            self._order()
        made = self._made
        return made[1] if made is not None and made[0] == table else None

    def _order(self) -> None:
        if self._database.pool.waiting:
            return
        with self._lock:
            if monotonic() < self._due_at:
                return
            self._due_at = monotonic() + _MAP_SECONDS
        # Not one of the threads that prefetch: streams wait for those.
        threading.Thread(target=self._make, name="key-map", daemon=True).start()

    def _make(self) -> None:
        # Progress is an extra: without a map, calls are served as ever.
        try:
            with self._database.session(deadline_seconds=_MAKING_SECONDS) as session:
                self._made = session.table, map_keys(KeyRanges(session))
        except UserStreamError as error:
            _log.info("no_key_map", reason=error.reason)
        except Exception:  # noqa: BLE001 - nobody waits for the result, so nobody else would say so
            _log.error("no_key_map", reason=InternalError().reason)


class ScanProgress:
    """Estimates how many users a scan will have had at its end.

    Args:
        maps: Returns the map of the table's keys; None while there is none.
        scan: The whole scan: its bounds, filter and limit.
        position: Where it begins; it may have been resumed.

    Attributes:
        estimated_users: The estimate, above the users so far; 0 while it is not known.
        fraction: The share that is done: never falls, and is below 1 until the end.
    """

    def __init__(self, maps: Callable[[], KeyMap | None], scan: Scan, position: Position) -> None:
        self._maps = maps
        self._scan = scan
        self.estimated_users = position.estimated_users
        self.fraction = _fraction(position.user_count, position.estimated_users)
        self._due_users = max(_FROM_USERS, position.user_count)

    def advance(self, user_count: int, last_key: str) -> None:
        """Take how far the scan is.

        Args:
            user_count: Users so far, from the very start of the scan.
            last_key: The last one's user_id.
        """
        if user_count >= self._due_users:
            self._due_users = user_count + 1 + int(user_count * _AGAIN_AFTER_SHARE)
            self._estimate(user_count, last_key)
        if self.estimated_users and user_count > self.estimated_users * _MOST_BEFORE_END:
            self.estimated_users = max(user_count + 1, int(user_count / _MOST_BEFORE_END))
        self.fraction = max(self.fraction, _fraction(user_count, self.estimated_users))

    def _estimate(self, user_count: int, last_key: str) -> None:
        keys, scan = self._maps(), self._scan
        if keys is None:
            return
        before = keys.rows_up_to(scan.after) if scan.after is not None else 0.0
        until = keys.rows_up_to(scan.up_to) if scan.up_to is not None else keys.rows
        passed = keys.rows_up_to(last_key) - before
        if passed <= 0:
            return
        ratio = user_count / passed
        if scan.filter == EVERYONE and _CHANGED_BELOW < ratio < _CHANGED_ABOVE:
            ratio = max(_LEAST_RATIO, min(_MOST_RATIO, ratio))
        estimated = user_count + ratio * max(0.0, until - before - passed)
        if self.fraction:  # which must not fall
            estimated = min(estimated, user_count / self.fraction)
        self.estimated_users = int(min(estimated, scan.limit or estimated))


def _fraction(user_count: int, estimated_users: int) -> float:
    return min(user_count / estimated_users, _MOST_BEFORE_END) if estimated_users else 0.0
