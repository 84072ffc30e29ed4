"""The hosts of one URL: which may be read, and which one a call reads from."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic

from userstream_server.databases.database import DatabaseFound
from userstream_server.databases.host_state import HostState
from userstream_server.databases.mysql.host import Host
from userstream_server.databases.options import DatabaseOptions
from userstream_server.errors import UnavailableError, UserStreamError

__all__ = ["Hosts"]

_SUSPECTED_SECONDS = 1.0
"""How long a call waits for the check of a suspected host where no other one may be read."""


class Hosts:
    """Several hosts of the same data, each with a watch of its own.

    Args:
        options: How to connect, and which hosts are wanted.
    """

    def __init__(self, options: DatabaseOptions) -> None:
        # The first verdict takes a connection, and another one if the first breaks off.
        self._first_seconds = 2.0 * options.host_timeout_seconds + 1
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._started = False
        self._hosts = [Host(options, address, self._checked) for address in options.url.hosts]

    def __iter__(self) -> Iterator[Host]:
        """Iterate over the hosts, in the URL's order."""
        return iter(self._hosts)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._hosts)

    def states(self) -> Sequence[HostState]:
        """Return what is known of each host, in the URL's order."""
        return [host.state for host in self._hosts]

    def check(self) -> DatabaseFound:
        """Return what was found at the first host that may be read.

        Raises:
            UserStreamError: None may be read. It is operator action required only where a host says so.
        """
        self._start()
        for host in self._hosts:
            if host.state.readable and host.found:
                return host.found
        raise self._failure()

    def ranked(self) -> Sequence[Host]:
        """Return the hosts that may be read, at least one: first, of two drawn at random, the one with less to do.

        Raises:
            UserStreamError: No host may be read.
        """
        self._start()
        hosts = self._able()
        if not hosts:
            raise self._failure()
        random.shuffle(hosts)
        hosts[:2] = sorted(hosts[:2], key=lambda host: host.load)
        return hosts

    def close(self) -> None:
        """Stop the watches, and close all connections."""
        with self._lock:
            started, self._started = self._started, True
        for host in self._hosts if started else ():
            host.close()

    def _able(self) -> list[Host]:
        """Return the hosts that may be read; where there is none, wait for those that are just being checked."""
        hosts = self._hosts
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    any(host.may_be_read for host in hosts)
                    or not any(host.is_suspected for host in hosts)
                ),
                _SUSPECTED_SECONDS,
            )
        return [host for host in hosts if host.may_be_read]

    def _start(self) -> None:
        """Start the watches once, and wait for their first verdicts."""
        if self._started:
            return
        with self._lock:
            if self._started:
                return
            for host in self._hosts:
                host.start()
            ends_at = monotonic() + self._first_seconds
            for host in self._hosts:
                host.checked.wait(max(0.0, ends_at - monotonic()))
            self._started = True

    def _checked(self, host: Host) -> None:
        # Where no other host could take over, waiters for this one keep waiting.
        if host.is_away and any(other.may_be_read for other in self._hosts if other is not host):
            with suppress(
                RuntimeError
            ):  # a connection that is just being closed; nothing may end the watch
                host.disconnect()
        with self._changed:
            self._changed.notify_all()

    def _failure(self) -> UserStreamError:
        errors = [host.error for host in self._hosts]
        refusals = [e for e in errors if e and not isinstance(e, UnavailableError)]
        if refusals and all(errors):
            return refusals[0]
        return UnavailableError(
            "DATABASE_UNAVAILABLE",
            "No database host can be read from. Retry; a stream resumes from its last resume_token.",
        )
