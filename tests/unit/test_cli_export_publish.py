"""Publishing is one step: wherever an export is killed, --resume ends with the whole file and nothing beside it."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client.cli._manifest import Manifest, digest_of
from userstream_client.cli.export import publish
from userstream_client.cli.export.state import ExportState
from userstream_testing.command import Ran, run_here
from userstream_testing.scripted_server import ScriptedServer, made_users, scan_script

pytestmark = pytest.mark.slow

USERS = made_users(9)
STEPS = ("replace", "unlink", "fsync", "truncate", "ftruncate")
MOST_STEPS = 100


class Killed(BaseException):
    """As if the process had ended here."""


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Let the block do so many steps that change files, and none from then on, in no thread."""
    counter = itertools.count()

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(counter) >= step:
                raise Killed
            return real(*arguments, **options)

        return call

    with ExitStack() as patches:
        for name in STEPS:
            patches.enter_context(mock.patch.object(os, name, counted(getattr(os, name))))
        yield


def answer(request: Any) -> Any:
    """Play a server of two key ranges."""
    if isinstance(request, pb.PartitionUsersRequest):
        response = pb.PartitionUsersResponse()
        for name in ("low", "high")[: request.partition_count]:
            response.partitions.add(partition=name, estimated_users=5)
        return [response]
    halves = {"": USERS, "low": USERS[:5], "high": USERS[5:]}
    return scan_script(halves[request.partition])(request)


def export(server: ScriptedServer, folder: Path, name: str, *options: str) -> Ran:
    return run_here("export", "--output", name, "--target", server.target, *options, cwd=folder)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("users.csv", ()),
        ("users.ndjson", ("--partitions", "2", "--manifest")),
        ("users.csv.gz", ("--partitions", "2")),
        ("users.parquet", ("--manifest",)),
    ],
)
def test_killed_at_every_step(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """Before each step in turn: the next run with --resume exits 0, the file is whole, no other file is left."""
    left = [name, f"{name}.manifest.json"] if "--manifest" in options else [name]
    (whole := tmp_path / "whole").mkdir()
    scripts = [answer] * (4 * MOST_STEPS)
    with ScriptedServer(*scripts) as server:
        export(server, whole, name, *options)
        expected = (whole / name).read_bytes()
        for step in range(MOST_STEPS):
            (folder := tmp_path / str(step)).mkdir()
            try:
                with killed_at(step):
                    export(server, folder, name, *options)
            except Killed:
                check_the_manifest(folder / name)
            else:
                break
            ran = export(server, folder, name, *options, "--resume")

            assert (0, "") == (ran.code, ran.err), f"killed at step {step}"
            assert expected == (folder / name).read_bytes()
            check_the_manifest(folder / name)
            assert left == sorted(path.name for path in folder.iterdir())
    assert 10 < step < MOST_STEPS - 1


def check_the_manifest(file: Path) -> None:
    """A manifest never stands beside another file than its own."""
    path = Manifest.path_for(file)
    if path.exists():
        manifest = Manifest.load(path)
        assert (manifest.size_bytes, manifest.sha256) == (
            digest_of(file).size_bytes,
            digest_of(file).sha256,
        )


def test_a_published_file_is_recognised(tmp_path: Path) -> None:
    """A kill between publishing and removing the state: --resume asks the server for nothing."""
    state = tmp_path / ".users.csv.export.json"
    with ScriptedServer(answer) as server:
        with mock.patch.object(ExportState, "remove", side_effect=Killed), pytest.raises(Killed):
            export(server, tmp_path, "users.csv")
        assert state.exists()
        before = (tmp_path / "users.csv").stat().st_ino
        ran = export(server, tmp_path, "users.csv", "--resume")

    assert (0, 1) == (ran.code, len(server.calls))
    assert before == (tmp_path / "users.csv").stat().st_ino
    assert ["users.csv"] == [path.name for path in tmp_path.iterdir()]


def test_a_published_file_that_was_changed_since(tmp_path: Path) -> None:
    """It is not taken for complete, and not overwritten: the message says what to do."""
    with ScriptedServer(answer) as server:
        with mock.patch.object(ExportState, "remove", side_effect=Killed), pytest.raises(Killed):
            export(server, tmp_path, "users.csv")
        (tmp_path / "users.csv").write_text("mine")
        ran = export(server, tmp_path, "users.csv", "--resume")

    assert 1 == ran.code
    assert "without --resume" in ran.err
    assert "mine" == (tmp_path / "users.csv").read_text()


def test_an_export_without_manifest_removes_the_old_one(tmp_path: Path) -> None:
    """The old manifest would be untrue of the new file."""
    with ScriptedServer(answer, answer, answer) as server:
        export(server, tmp_path, "users.csv", "--manifest")
        assert (tmp_path / "users.csv.manifest.json").exists()
        assert 0 == export(server, tmp_path, "users.csv").code

    assert ["users.csv"] == [path.name for path in tmp_path.iterdir()]


KEPT, UNKNOWN, NOTHING = pb.FRESHNESS_KEPT, pb.FRESHNESS_UNKNOWN, pb.FRESHNESS_UNSPECIFIED


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (KEPT, KEPT, "kept"),
        (KEPT, UNKNOWN, "unknown"),
        (UNKNOWN, NOTHING, "unknown"),
        (KEPT, NOTHING, None),
        (NOTHING, NOTHING, None),
    ],
)
def test_what_receipts_say_of_database_hosts(
    low: pb.Freshness.ValueType, high: pb.Freshness.ValueType, shown: str | None, tmp_path: Path
) -> None:
    """The manifest has the worst of it, also of parts that an earlier run read; nothing if they say nothing."""

    def said(request: Any) -> Any:
        messages = answer(request)
        if isinstance(request, pb.StreamUsersRequest):
            messages[-1].receipt.freshness = low if request.partition == "low" else high
        return messages

    options = ("users.csv", "--partitions", "2", "--manifest")
    with ScriptedServer(said, said, said) as server:
        with mock.patch.object(publish, "prove_parts", side_effect=Killed), pytest.raises(Killed):
            export(server, tmp_path, *options)
        ran = export(server, tmp_path, *options, "--resume")

    assert (0, "") == (ran.code, ran.err)
    found = json.loads(Manifest.path_for(tmp_path / "users.csv").read_text("utf-8"))
    assert shown == found.get("freshness")
    assert shown == Manifest.load(Manifest.path_for(tmp_path / "users.csv")).freshness
    assert ("freshness" in found) == (shown is not None)
