"""One host of several: a thread checks it on a connection of its own, so that a frozen host blocks nothing else."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic

import structlog

from userstream_server.databases.database import DatabaseFound
from userstream_server.databases.host_state import HostState
from userstream_server.databases.mysql.connecting import Address
from userstream_server.databases.mysql.connection import MySQLConnection
from userstream_server.databases.mysql.database import MySQLDatabase
from userstream_server.databases.mysql.replication import Replication
from userstream_server.databases.mysql.sockets import addresses_of, shut_down
from userstream_server.databases.options import DatabaseOptions
from userstream_server.errors import InternalError, UnavailableError, UserStreamError

__all__ = ["Host"]

_CHECK_SECONDS = 0.25
_TABLE_SECONDS = 2.0
_BACK_OFF_SECONDS_MAX = 5.0
_log = structlog.get_logger()


class Host:
    """One host with its connection pool, and what is known of it.

    Args:
        options: How to connect.
        address: The host and its port.
        on_check: Called by the watch after each check.

    Attributes:
        address: The same.
        database: The host as calls read it.
        state: What the last check found.
        error: Why the last check failed; None if the host answered.
        checked: Set once the first check has ended.
    """

    def __init__(
        self, options: DatabaseOptions, address: Address, on_check: Callable[["Host"], None]
    ) -> None:
        seconds = options.host_timeout_seconds
        options = replace(
            options,
            url=replace(options.url, hosts=(address,)),
            connect_timeout_seconds=min(options.connect_timeout_seconds, seconds),
        )
        self._checking = replace(options, socket_timeout_seconds=seconds)
        self._on_check = on_check
        self._kept: Replication | None = None
        self._numeric: frozenset[tuple[str, int]] = frozenset()
        self._heard_at: float | None = None
        self._table_at = 0.0
        # How often it was suspected, and how many of these suspicions a later check has settled.
        self._suspected = self._settled = 0
        self._due = threading.Event()
        self._stopping = False
        self.address = address
        self.database = _HostDatabase(options, self)
        self.state = HostState(readable=False, text="not checked yet", name=_named(address))
        self._calls = 0
        self._counting = threading.Lock()
        self.error: UserStreamError | None = None
        self._found: DatabaseFound | None = None
        self.checked = threading.Event()
        name = f"host {self.state.name}"
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    @property
    def may_be_read(self) -> bool:
        """Whether calls may read from it now."""
        return self.state.readable and not self.is_suspected

    @property
    def is_suspected(self) -> bool:
        """Whether a connection has failed since the last check began."""
        return self._suspected != self._settled

    @property
    def found(self) -> DatabaseFound | None:
        """The database there; None until the first check that succeeds."""
        return self._found

    @property
    def load(self) -> int:
        """How much it has to do: the calls that read from it, and the connections they use just now."""
        return self._calls + self.database.pool.in_use

    def count_calls(self, more: int) -> None:
        """Count so many calls more, or fewer, as reading from it."""
        with self._counting:
            self._calls += more

    @property
    def is_away(self) -> bool:
        """Whether it has not answered its last check."""
        return isinstance(self.error, UnavailableError)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def suspect(self) -> None:
        """Leave the host out until its next check, which begins now: a connection has failed."""
        self._suspected += 1
        self._due.set()

    def disconnect(self) -> None:
        """End every connection of this process to the host, whatever waits for it."""
        shut_down(self._numeric)
        self.database.pool.discard_idle()

    def close(self) -> None:
        """Stop watching, and close all connections."""
        self._stopping = True
        self._due.set()
        if self._thread.is_alive():
            self._thread.join()
        self.database.close()

    def _watch(self) -> None:
        pause = _CHECK_SECONDS
        while not self._stopping:
            # Cleared first: who suspects the host during a check has it checked once more.
            self._due.clear()
            suspected = self._suspected
            self._check()
            self._settled = suspected
            self.checked.set()
            self._on_check(self)
            # A host that is away is tried less and less often; one good answer brings it back.
            pause = min(2 * pause, _BACK_OFF_SECONDS_MAX) if self.error else _CHECK_SECONDS
            self._due.wait(pause)
        self._drop()

    def _check(self) -> None:
        try:
            state = self._look()
            self.error = None
        except Exception as error:  # noqa: BLE001 - a defect here must not end the watch for good
            self._drop()
            self.error = error if isinstance(error, UserStreamError) else InternalError()
            text = "does not answer" if self.is_away else self.error.message
            state = HostState(readable=False, text=text)
        self._take(self._judged(state))

    def _look(self) -> HostState:
        """Ask the host; once more over a new connection if it has closed the old one."""
        kept, began_at = self._kept, monotonic()
        try:
            return self._ask()
        except UnavailableError:
            is_slow = monotonic() - began_at > self._checking.host_timeout_seconds / 2
            if kept is None or is_slow:
                raise
        self._drop()
        return self._ask()

    def _ask(self) -> HostState:
        if self._kept is None:
            self._numeric |= addresses_of(*self.address)
            self._kept = Replication(MySQLConnection(self._checking, (self.address,)))
        connection = self._kept.connection
        self._learn_table(connection)
        state = self._kept.state(self._checking.replica_lag_seconds_max)
        if connection.unread:
            self._drop()
        return state

    def _learn_table(self, connection: MySQLConnection) -> None:
        if self._found is not None and monotonic() - self._table_at < _TABLE_SECONDS:
            return
        self._found = self.database.found_on(connection)
        self._table_at = monotonic()

    def _judged(self, state: HostState) -> HostState:
        """Add what a single answer cannot say: for how long a source has been away, and which hosts are wanted."""
        if state.is_cut_off:
            state = self._judged_cut_off(state)
        elif self.error is None:
            self._heard_at = monotonic()
        read_from = self._checking.read_from
        if state.readable and not read_from.takes(state.role):
            text = f"{state.text}; left out, as USERSTREAM_READ_FROM is {read_from.value}"
            state = replace(state, readable=False, is_unwanted=True, text=text)
        return replace(state, name=self.state.name)

    def _judged_cut_off(self, state: HostState) -> HostState:
        """Judge a replica without its source: by when that was last heard of, here or there."""
        lags = [] if state.lag_seconds is None else [state.lag_seconds]
        if self._heard_at is not None:
            lags.append(monotonic() - self._heard_at)
        if not lags:
            return state
        lag, lag_max = min(lags), self._checking.replica_lag_seconds_max
        text = f"{state.text}, for {lag:.0f} s"
        return replace(state, text=text, lag_seconds=lag, readable=lag <= lag_max)

    def _take(self, state: HostState) -> None:
        before, self.state = self.state, state
        if state.readable != before.readable or not self.checked.is_set():
            if state.readable:
                _log.info("host_up", host=state.name, message=state.text)
            else:
                _log.warning("host_down", host=state.name, message=state.text)

    def _drop(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(RuntimeError):
                kept.connection.close()


class _HostDatabase(MySQLDatabase):
    """A host as calls read it. While it is away nobody tries to connect, as that would only take time."""

    def __init__(self, options: DatabaseOptions, host: Host) -> None:
        super().__init__(options)
        self._host = host

    def kill(self, connection: MySQLConnection) -> None:
        """End a connection and its query, unless the host is away: it then finds the connection closed."""
        connection.reusable = False
        if not self._host.is_away:
            super().kill(connection)

    def _connect(self, options: DatabaseOptions) -> MySQLConnection:
        if self._host.is_away:
            raise UnavailableError(
                "DATABASE_UNAVAILABLE",
                "The database host does not answer. Retry; a stream resumes from its last resume_token.",
            )
        return super()._connect(options)


def _named(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
