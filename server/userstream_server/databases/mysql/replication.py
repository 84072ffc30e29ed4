"""What a server says of its replication: may rows be read from it, and how old may they be.

Only tables and variables that exist on a server are used: one that knows none of them (TiDB, Vitess) stands alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from userstream_server.databases.host_state import HostState, Role
from userstream_server.databases.mysql.connection import MySQLConnection
from userstream_server.errors import UnavailableError, UserStreamError

__all__ = ["Replication"]

_GROUP = (
    "SELECT MEMBER_ID = @@server_uuid, MEMBER_STATE, MEMBER_ROLE"
    " FROM performance_schema.replication_group_members"
)
# The group's own channels are left out: its members say by themselves whether they have caught up.
_CHANNELS = """
SELECT c.SERVICE_STATE, a.SERVICE_STATE, NOW(6),
  (SELECT MIN(APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP)
   FROM performance_schema.replication_applier_status_by_worker w
   WHERE w.CHANNEL_NAME = a.CHANNEL_NAME AND APPLYING_TRANSACTION <> ''),
  (SELECT MIN(PROCESSING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP)
   FROM performance_schema.replication_applier_status_by_coordinator p
   WHERE p.CHANNEL_NAME = a.CHANNEL_NAME AND PROCESSING_TRANSACTION <> ''),
  (SELECT MAX(LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP)
   FROM performance_schema.replication_applier_status_by_worker l WHERE l.CHANNEL_NAME = a.CHANNEL_NAME),
  c.LAST_QUEUED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, c.LAST_HEARTBEAT_TIMESTAMP,
  c.LAST_QUEUED_TRANSACTION_END_QUEUE_TIMESTAMP
FROM performance_schema.replication_applier_status a
LEFT JOIN performance_schema.replication_connection_status c USING (CHANNEL_NAME)
WHERE a.CHANNEL_NAME NOT LIKE 'group\\_replication\\_%'
"""
_MARIADB_CHANNELS = "SHOW ALL SLAVES STATUS"
# Where its columns Slave_IO_Running, Slave_SQL_Running and Seconds_Behind_Master stand.
_IO_RUNNING, _SQL_RUNNING, _SECONDS_BEHIND = 12, 13, 34
_WSREP_ON = "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'"
_WSREP = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_local_state_comment')"
_MYSQL_GRANT = "GRANT SELECT ON performance_schema.* TO <account>"
_MARIADB_GRANT = "GRANT SLAVE MONITOR ON *.* TO <account>"


@dataclass(frozen=True, slots=True)
class _Channel:
    """One source that a replica copies.

    Attributes:
        runs: Whether it was started; it may still look for its source.
        is_cut_off: Whether it has no connection to its source.
        lag_seconds: How far it is behind; None where that is unknown.
    """

    runs: bool
    is_cut_off: bool
    lag_seconds: float | None


class Replication:
    """Asks one server whether rows may be read from it.

    Args:
        connection: Leads to it.

    Attributes:
        connection: The same.
    """

    def __init__(self, connection: MySQLConnection) -> None:
        """Ask what kind of server it is; raises UserStreamError."""
        self.connection = connection
        self._is_galera = [row[1] for row in self._rows(_WSREP_ON)] == [b"ON"]

    def state(self, lag_seconds_max: float) -> HostState:
        """Return the server's state as it is now.

        Args:
            lag_seconds_max: How far a replica may be behind.

        Raises:
            UnavailableError: It does not answer.
        """
        if self._is_galera:
            return _galera_state(self._rows(_WSREP))
        try:
            if self.connection.is_mariadb:
                channels = [_mariadb_channel(row) for row in self._rows(_MARIADB_CHANNELS)]
                return _asynchronous(channels, lag_seconds_max)
            if members := self._rows(_GROUP):
                return _group_state(members)
            channels = [_mysql_channel(row) for row in self._rows(_CHANNELS)]
            return _asynchronous(channels, lag_seconds_max)
        except UnavailableError:
            raise
        except UserStreamError as error:
            return _unseen(error, mariadb=self.connection.is_mariadb)

    def _rows(self, text: str) -> list[Any]:
        return [row for block in self.connection.blocks(text) for row in block]


def _unseen(error: UserStreamError, *, mariadb: bool) -> HostState:
    """Judge a server that does not show its replication: it is read, as it always was."""
    if error.reason != "DATABASE_CREDENTIALS":
        return HostState(readable=True, text="stands alone")  # it has no such tables
    grant = _MARIADB_GRANT if mariadb else _MYSQL_GRANT
    hint = f"the account cannot see whether it is a replica, or how far behind: {grant}"
    return HostState(readable=True, text="replication not visible", hint=hint)


def _galera_state(rows: Sequence[Sequence[bytes]]) -> HostState:
    """Judge a node of a Galera cluster."""
    status = {name.lower(): value.decode() for name, value in rows}
    state = status.get(b"wsrep_local_state_comment", "unknown")
    if status.get(b"wsrep_ready") != "ON":
        return HostState(readable=False, text=f"Galera node that is not ready ({state})")
    return HostState(readable=state == "Synced", text=f"Galera node, {state}")


def _group_state(members: Sequence[Sequence[bytes]]) -> HostState:
    """Judge a member of a replication group by its own view of the group."""
    own = [(state.decode(), role.decode()) for is_own, state, role in members if is_own == b"1"]
    state, role = own[0] if own else ("OFFLINE", "")
    of = Role.PRIMARY if role == "PRIMARY" else Role.REPLICA
    reached = sum(state in {b"ONLINE", b"RECOVERING"} for _, state, _ in members)
    if state == "ONLINE" and 2 * reached <= len(members):
        return HostState(readable=False, text="group member in a minority of its group", role=of)
    text = f"group member, {state} {role}".strip()
    return HostState(readable=state == "ONLINE", text=text, role=of)


def _asynchronous(channels: Sequence[_Channel], lag_seconds_max: float) -> HostState:
    """Judge a replica by the channel that is worst; without channels it copies nobody."""
    if not channels:
        return HostState(readable=True, text="stands alone, or is the source")
    if not all(channel.runs for channel in channels):
        return HostState(readable=False, text="replica that is stopped", role=Role.REPLICA)
    lags = [channel.lag_seconds for channel in channels]
    known = [lag for lag in lags if lag is not None]
    lag = max(known) if len(known) == len(lags) else None
    if any(channel.is_cut_off for channel in channels):
        text = "replica that looks for its source"
        return HostState(True, text, Role.REPLICA, lag, is_cut_off=True)  # noqa: FBT003
    lag = lag or 0.0
    text = f"replica, {lag:.0f} s behind"
    if lag > lag_seconds_max:
        text += f", more than USERSTREAM_REPLICA_LAG_SECONDS_MAX ({lag_seconds_max:g})"
    return HostState(lag <= lag_seconds_max, text, Role.REPLICA, lag)


def _mysql_channel(row: Sequence[bytes | None]) -> _Channel:
    receiver, applier, *times = row
    now, applying, processing, applied, queued, heartbeat, received = map(_time, times)
    assert now is not None, "NOW() is never the zero date"  # noqa: S101
    # The oldest transaction at work counts; without one, the newest that was received and not applied.
    oldest = min((at for at in (applying, processing) if at), default=None)
    if oldest is None and queued and (applied is None or queued > applied):
        oldest = queued
    behind = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    runs = receiver in {b"ON", b"CONNECTING"} and applier == b"ON"
    if receiver == b"ON":
        return _Channel(runs, is_cut_off=False, lag_seconds=behind)
    # It falls behind from the last word of its source on.
    heard = max((at for at in (heartbeat, received) if at), default=None)
    lag = max(behind, (now - heard).total_seconds()) if heard else None
    return _Channel(runs, is_cut_off=True, lag_seconds=lag)


def _time(value: bytes | None) -> datetime | None:
    """Read a timestamp in the session's time zone; the zero date stands for none."""
    if value is None or value.startswith(b"0000"):
        return None
    return datetime.fromisoformat(value.decode())


def _mariadb_channel(row: Sequence[bytes | None]) -> _Channel:
    behind = row[_SECONDS_BEHIND]
    receives = row[_IO_RUNNING] in {b"Yes", b"Connecting", b"Preparing"}
    runs = receives and row[_SQL_RUNNING] == b"Yes"
    lag = None if behind is None else float(behind)
    return _Channel(runs, is_cut_off=behind is None, lag_seconds=lag)
