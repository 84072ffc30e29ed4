"""A private server and another one that copies it asynchronously."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from userstream_testing.admin import execute
from userstream_testing.mysql_binaries import Engine
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.waiting import until

__all__ = ["Replicated", "replicated"]

ACCOUNT = ("tester", "a-password-of-both")
_MYSQL_OPTIONS = ("--gtid-mode=ON", "--enforce-gtid-consistency=ON")
_SOURCE = "SOURCE_HOST='127.0.0.1', SOURCE_PORT={}, SOURCE_USER='{}', SOURCE_PASSWORD='{}'"
_MYSQL = f"CHANGE REPLICATION SOURCE TO {_SOURCE}, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1"  # noqa: E501
_MARIADB = f"CHANGE MASTER TO {_SOURCE.replace('SOURCE', 'MASTER')}, MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1"


@dataclass(frozen=True, slots=True)
class Replicated:
    """Both servers.

    Attributes:
        source: Takes writes.
        replica: Copies it.
    """

    source: PrivateServer
    replica: PrivateServer

    def url(self, database: str, *servers: PrivateServer) -> str:
        """Return some of them in one URL; by default the source, then the replica."""
        named = servers or (self.source, self.replica)
        hosts = ",".join(f"{server.host}:{server.port}" for server in named)
        return f"mysql://{':'.join(ACCOUNT)}@{hosts}/{database}"

    def start(self) -> None:
        """Begin to copy, or go on."""
        execute(self.replica.url, self._words("START {}"))

    def stop(self) -> None:
        """Stop copying."""
        execute(self.replica.url, self._words("STOP {}"))

    def wait_for(self, query: str) -> None:
        """Wait until the replica answers a query as the source does."""

        def is_equal() -> bool:
            return bool(execute(self.source.url, query) == execute(self.replica.url, query))

        until(is_equal)

    def _words(self, text: str) -> str:
        is_mysql = self.replica.program.engine == "mysql"
        return text.format("REPLICA" if is_mysql else "SLAVE")


@contextmanager
def replicated(engine: Engine) -> Iterator[Replicated]:
    """Yield a source and its replica, which copies whatever is written from now on."""
    options = _MYSQL_OPTIONS if engine == "mysql" else ()
    with (
        PrivateServer(engine, (*options, "--log-bin=binlog", "--server-id=1"), ACCOUNT) as source,
        PrivateServer(engine, (*options, "--log-bin=binlog", "--server-id=2"), ACCOUNT) as replica,
    ):
        change = _MYSQL if engine == "mysql" else _MARIADB
        execute(replica.url, change.format(source.port, *ACCOUNT))
        pair = Replicated(source, replica)
        pair.start()
        yield pair
