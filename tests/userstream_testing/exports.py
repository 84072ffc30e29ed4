"""Exports and their verification against a scripted table, both in this process."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from userstream.v1 import user_service_pb2 as pb

from userstream_testing.command import Ran, run_here
from userstream_testing.scripted_server import ScriptedServer, made_users, scan_script

__all__ = ["IDS", "USERS", "export", "needs_zstd", "verify"]

USERS = made_users(30)
USERS[3].name = 'a "name",\nof two\rlines\0'
USERS[4].name = "Zoë 🦊"
IDS = [user.user_id for user in USERS]
needs_zstd = pytest.mark.skipif(
    sys.version_info < (3, 14) and not find_spec("zstandard"),
    reason="no zstd here: neither Python 3.14 nor the package zstandard",
)


def export(folder: Path, name: str, *options: str, users: list[pb.User] = USERS) -> Path:
    """Export users to a new file."""
    with ScriptedServer(scan_script(users)) as server:
        ran = run_here("export", "--output", name, "--target", server.target, *options, cwd=folder)
    assert (0, "") == (ran.code, ran.err)
    return folder / name


def verify(file: Path, *options: str, users: list[pb.User] = USERS, per_message: int = 4) -> Ran:
    """Verify a file against a table of these users."""
    with ScriptedServer(scan_script(users, per_message=per_message)) as server:
        command = ("verify", file.name, "--against", "table", "--target", server.target)
        return run_here(*command, *options, cwd=file.parent)
