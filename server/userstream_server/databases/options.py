"""How to reach a database and how much of it to use."""

from dataclasses import dataclass

from userstream_server.databases.host_state import ReadFrom
from userstream_server.databases.url import DatabaseUrl

__all__ = ["DatabaseOptions"]


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """One database's address and limits; SQLite takes no notice of what only a server has.

    Attributes:
        url: Its address: hosts, account, database and TLS, or a file.
        pool_size: The most connections for queries.
        pool_wait_seconds: How long a query waits for a free connection.
        pool_caller_share: The share of them, 0 to 1, that a caller may hold while others wait.
        pool_scans_share: The share of them, 0 to 1, that full scans may hold; filtered queries twice as much.
        snapshot_views: The most snapshots at once; each holds a connection.
        connect_timeout_seconds: The limit for connecting to one host.
        host_timeout_seconds: How long one of several hosts may take to answer a check, or to connect.
        replica_lag_seconds_max: How far a replica may be behind.
        read_from: Which of several hosts are read.
        query_timeout_seconds: The longest a query may take.
        socket_timeout_seconds: How long the driver waits for an answer; None: 10 s longer than for a query.
        net_write_timeout_seconds: How long MySQL keeps a result that is not read.
        native_rows: Fetch and encode users in C where that part was built.
        use_pure: Use the driver's Python side even where its C extension loads.
    """

    url: DatabaseUrl
    pool_size: int = 8
    pool_wait_seconds: float = 5.0
    pool_caller_share: float = 0.5
    pool_scans_share: float = 0.25
    snapshot_views: int = 4
    connect_timeout_seconds: float = 5.0
    host_timeout_seconds: int = 2
    replica_lag_seconds_max: float = 30.0
    read_from: ReadFrom = ReadFrom.ANY
    query_timeout_seconds: float = 300.0
    socket_timeout_seconds: float | None = None
    net_write_timeout_seconds: int = 60
    native_rows: bool = True
    use_pure: bool = False
