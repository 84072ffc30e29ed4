"""Several private MySQLs on loopback with the same data, as Group Replication keeps it."""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from time import sleep
from types import TracebackType
from typing import Self
from uuid import uuid4

from mysql.connector import Error

from userstream_testing.admin import execute
from userstream_testing.mysql_binaries import find_server
from userstream_testing.mysql_server import PrivateServer, free_port
from userstream_testing.waiting import until

__all__ = ["PrivateCluster"]

_MEMBERS = "SELECT MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE FROM performance_schema.replication_group_members"
_JOIN_SECONDS = 60


class PrivateCluster:
    """A group of servers with one primary, all with the same account; use it as a context manager.

    Args:
        size: How many servers.
        options: More options for each server program.

    Attributes:
        servers: The servers.
        account: The account's name and password.
    """

    def __init__(self, size: int = 3, options: Sequence[str] = ()) -> None:
        """Start the servers and the group.

        Raises:
            ProgramNotFoundError: There is no server program.
            RuntimeError: A server does not start.
        """
        self.account = ("tester", secrets.token_urlsafe(12))
        self._group = str(uuid4())
        self._ports = [free_port() for _ in range(size)]
        with ExitStack() as stack:
            self.servers = [
                stack.enter_context(
                    PrivateServer(options=(*self._options(number), *options), account=self.account)
                )
                for number in range(size)
            ]
            first, *others = self.servers
            self._bootstrap(first)
            for server in others:
                self.join(server)
            self._stack = stack.pop_all()

    def url(self, *hosts: str) -> str:
        """Return a URL without a database.

        Args:
            hosts: `host:port` of each host; by default all servers.
        """
        named = hosts or [f"{server.host}:{server.port}" for server in self.servers]
        return f"mysql://{':'.join(self.account)}@{','.join(named)}"

    @property
    def primary(self) -> PrivateServer:
        """The server that takes writes."""
        for server in self.servers:
            for port, state, role in self.members(server):
                if (state, role) == ("ONLINE", "PRIMARY"):
                    return next(server for server in self.servers if server.port == port)
        raise RuntimeError("the group has no primary")

    def members(self, server: PrivateServer) -> list[tuple[int, str, str]]:
        """Return port, state and role of each member as a server sees them; nothing if it does not answer."""
        try:
            return [tuple(row) for row in execute(server.url, _MEMBERS)]
        except Error:
            return []

    def join(self, server: PrivateServer) -> None:
        """Have a server that runs join the group, and wait until it has caught up."""
        # The group may refuse a member for some seconds more: it still knows the one that was there before.
        until(lambda: self._has_begun(server), _JOIN_SECONDS)
        until(lambda: (server.port, "ONLINE") in self._states(server), _JOIN_SECONDS)

    def rebuild(self, server: PrivateServer) -> None:
        """Have a server that has left the group clone another member's data, over its own, and join again."""
        until(lambda: self._others_have_let_go(server), _JOIN_SECONDS)
        execute(server.url, "SET GLOBAL group_replication_clone_threshold = 1")
        until(lambda: self._has_begun(server), _JOIN_SECONDS)
        # It restarts after cloning, which takes a supervisor.
        server.wait_until_ended()
        server.start()
        self.join(server)

    def rejoin(self, server: PrivateServer) -> None:
        """Have a server that has left the group, in whatever way, join it again."""
        until(lambda: self._others_have_let_go(server), _JOIN_SECONDS)
        execute(server.url, "STOP GROUP_REPLICATION")
        self.join(server)

    def stop(self) -> None:
        """End all servers and remove their data."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def is_whole(self) -> bool:
        """Whether every member sees every other one ONLINE."""
        everyone = sorted((server.port, "ONLINE") for server in self.servers)
        return all(everyone == sorted(self._states(server)) for server in self.servers)

    def heal(self) -> None:
        """Have every member that has left the group join it again, and wait until it is whole."""
        until(self._is_healed, _JOIN_SECONDS)

    def _is_healed(self) -> bool:
        if self.is_whole:
            return True
        for server in self.servers:
            if {state for _, state in self._states(server)} <= {"OFFLINE", "ERROR"}:
                self.rejoin(server)
        sleep(0.2)
        return False

    def _has_begun(self, server: PrivateServer) -> bool:
        name, password = self.account
        try:
            execute(server.url, f"START GROUP_REPLICATION USER='{name}', PASSWORD='{password}'")
        except Error:
            return False
        return True

    def _bootstrap(self, server: PrivateServer) -> None:
        execute(server.url, "SET GLOBAL group_replication_bootstrap_group = ON")
        self.join(server)
        execute(server.url, "SET GLOBAL group_replication_bootstrap_group = OFF")

    def _states(self, server: PrivateServer) -> set[tuple[int, str]]:
        return {(port, state) for port, state, _ in self.members(server)}

    def _others_have_let_go(self, server: PrivateServer) -> bool:
        others = [other for other in self.servers if other is not server]
        return all(server.port not in {port for port, _ in self._states(other)} for other in others)

    def _options(self, number: int) -> tuple[str, ...]:
        addresses = [f"127.0.0.1:{port}" for port in self._ports]
        plugins = find_server("mysql").plugins
        return (
            *((f"--plugin-dir={plugins}",) if plugins else ()),
            "--plugin-load-add=group_replication.so;mysql_clone.so",
            f"--server-id={number + 1}",
            "--log-bin=binlog",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--innodb-buffer-pool-size=64M",
            "--report-host=127.0.0.1",
            f"--group-replication-group-name={self._group}",
            f"--group-replication-local-address={addresses[number]}",
            f"--group-replication-group-seeds={','.join(addresses)}",
            "--group-replication-ip-allowlist=127.0.0.1",
            "--group-replication-start-on-boot=OFF",
            "--group-replication-recovery-get-public-key=ON",
        )
