"""How deep a stream is: each frame between gRPC and the rows costs at every message, and every reader."""

import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases import sqlite
from userstream_server.databases.open import open_database
from userstream_server.rows.sql import Query
from userstream_server.rows.types import EncodedUsers, UserRow
from userstream_server.rpc.server import build_server
from userstream_server.seeding.seed import seed_users
from userstream_server.settings import load_settings
from userstream_testing.calls import stub_for
from userstream_testing.repository import ROOT

FRAMES_MAX = 7
PACKAGE = str(ROOT / "server/userstream_server")


def package_frames() -> list[str]:
    """Return what runs in this thread, innermost first, as far as it is the server's own code."""
    found = []
    frame = sys._getframe(1)
    while frame:
        if frame.f_code.co_filename.startswith(PACKAGE):
            found.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]  # None at the end
    return found


@pytest.mark.parametrize(
    "request_", [pb.StreamUsersRequest(), pb.StreamUsersRequest(max_users_per_message=1)]
)
def test_the_first_pull_is_shallow(
    tmp_path: Path,
    users: list[UserRow],
    monkeypatch: pytest.MonkeyPatch,
    request_: pb.StreamUsersRequest,
) -> None:
    """From gRPC's thread to the session that reads the rows, at most seven frames of ours are on the stack."""
    depths: list[list[str]] = []

    read = sqlite._Session.encoded

    def encoded(
        session: sqlite._Session, query: Query, rows: Callable[[], int]
    ) -> Generator[EncodedUsers]:
        depths.append(package_frames())
        yield from read(session, query, rows)

    monkeypatch.setattr(sqlite._Session, "encoded", encoded)
    settings = load_settings(database_url=f"sqlite:///{tmp_path}/users.db", listen="127.0.0.1:0")
    seed_users(settings.database, users)
    database = open_database(settings.database_options)
    server = build_server(settings, database)
    server.start()
    with stub_for(f"127.0.0.1:{server.port}") as stub:
        next(stub.StreamUsers(request_))
    server.stop(0)
    database.close()

    assert len(depths[0]) <= FRAMES_MAX, depths[0]
