"""Open files: each connection is one, and a process may have only so many."""

import resource

from userstream_server.settings import ServerSettings

__all__ = ["HEALTH_CONNECTIONS_MAX", "connections_allowed", "raise_file_limit", "shortage"]

HEALTH_CONNECTIONS_MAX = 100
"""Connections to the server for health alone."""
_SIDE_CONNECTIONS = 8
"""To the database beside the pool's: one for health, those that kill queries, one in exchange for each broken one."""
_OTHER_FILES = 64
"""Libraries, log, listeners, wake-ups, scrapes, and files read at a reload."""
_LEAST_CONNECTIONS = 16
"""Below that the server would refuse everybody."""


def raise_file_limit(settings: ServerSettings) -> None:
    """Raise this process's soft limit of open files to what the settings need, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.connections_max + _reserved(settings)
    if not _is_unlimited(soft) and soft < needed:
        most = needed if _is_unlimited(hard) else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def connections_allowed(settings: ServerSettings) -> int:
    """Return how many connections the service may accept so that the files for everything else remain."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_unlimited(soft):
        return settings.connections_max
    return min(settings.connections_max, max(_LEAST_CONNECTIONS, soft - _reserved(settings)))


def shortage(settings: ServerSettings) -> str | None:
    """Say what to do if the hard limit of open files is below what the settings need; None if it is not."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.connections_max + _reserved(settings)
    if _is_unlimited(hard) or hard >= needed:
        return None
    return (
        f"a process may open {hard} files here and the settings need {needed}: raise the limit (ulimit -n,"
        f" LimitNOFILE=), or set USERSTREAM_CONNECTIONS_MAX to {max(1, hard - _reserved(settings))}"
    )


def _reserved(settings: ServerSettings) -> int:
    """Return how many files a process needs besides its callers' connections."""
    health = HEALTH_CONNECTIONS_MAX if settings.health_listen else 0
    # Each of several hosts has a pool of its own, and a connection for its checks.
    hosts = len(settings.database.hosts)
    pools = settings.pool_size if hosts < 2 else hosts * (settings.pool_size + 1)
    return pools + _SIDE_CONNECTIONS + health + _OTHER_FILES


def _is_unlimited(limit: int) -> bool:
    return limit == resource.RLIM_INFINITY
