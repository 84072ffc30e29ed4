"""A replication group, and a server over its members."""

from dataclasses import dataclass

from userstream_testing.admin import execute
from userstream_testing.fault_proxy import FaultProxy
from userstream_testing.mysql_cluster import PrivateCluster
from userstream_testing.server_process import ServerProcess

__all__ = ["NAME", "Group"]

NAME = "userstream_cluster"
"""The database."""


@dataclass
class Group:
    """The group and what reads it.

    Attributes:
        cluster: The members.
        proxies: One before each member; the service reads through them.
        server: The service.
    """

    cluster: PrivateCluster
    proxies: list[FaultProxy]
    server: ServerProcess

    def primary_url(self) -> str:
        """Return the URL of the member that takes writes."""
        return f"{self.cluster.primary.url}/{NAME}"

    def reset(self) -> list[str]:
        """Name all rows after no write, at every member; return their user_ids."""
        url = self.primary_url()
        execute(url, "UPDATE user_data SET name = 'Write 0'")
        ((executed,),) = execute(url, "SELECT @@GLOBAL.gtid_executed")
        for member in self.cluster.servers:
            execute(member.url, f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', 30)")
        return [row[0] for row in execute(url, "SELECT user_id FROM user_data ORDER BY 1")]
