"""Fault 3 for exports: SIGKILL at any moment, in every format; what --resume publishes is the whole, always."""

import gzip
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from userstream_client.cli._file_types import FileType, file_type_from
from userstream_client.cli._manifest import Manifest, digest_of
from userstream_client.cli._reading import read_users
from userstream_client.models import User
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.exports import needs_zstd
from userstream_testing.fault_report import FaultReport
from userstream_testing.forking_command import ForkingCommand
from userstream_testing.server_process import ServerProcess, serving

USERS = 8_000
KILLS_MAX = 3  # in a row, before an export may end
SAVE_SECONDS = 0.01
NAMES = ["u.csv", "u.ndjson", "u.parquet", "u.arrow", "u.csv.gz", "u.ndjson.gz"]
ZSTD = [pytest.param(name, marks=needs_zstd) for name in ("u.csv.zst", "u.ndjson.zst")]
PHASES = ("before the first save", "while reading", "while publishing", "after the end")


@dataclass
class Exports:
    """A server, the command, and what was hit so far."""

    server: ServerProcess
    command: ForkingCommand
    expected: list[User]
    hits: Counter[str] = field(default_factory=Counter)

    def arguments(self, name: str, partitions: int) -> tuple[str, ...]:
        """Return the command's, with a manifest where there are partitions."""
        more = ("--partitions", str(partitions), "--manifest") if partitions > 1 else ()
        return ("export", "--output", name, "--target", self.server.target, *more)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exports]:
    """Yield a server over an embedded database, and the command."""
    folder = tmp_path_factory.mktemp("exports")
    url = f"sqlite:///{folder}/users.db"
    seed_synthetic(DatabaseUrl.parse(url), USERS)
    with serving(url, folder) as server, ForkingCommand(SAVE_SECONDS) as command:
        found = Exports(server, command, [])
        command.start(folder, *found.arguments("reference.csv", 1))
        assert command.code() == 0
        found.expected += read_users(folder / "reference.csv", FileType("csv"))  # type: ignore[arg-type]
        assert len(found.expected) == USERS
        yield found


def phase_of(output: Path, old: bytes) -> str:
    """Say what a killed export was doing, by what it left."""
    state = output.with_name(f".{output.name}.export.json")
    if not state.exists():
        return PHASES[0] if output.read_bytes() == old else PHASES[3]
    parts = json.loads(state.read_text("utf-8"))["parts"]
    if all(part["done"] for part in parts):
        return PHASES[2]
    return PHASES[1] if any(part["byte_offset"] for part in parts) else PHASES[0]


def check_whole(output: Path, exports: Exports) -> None:
    """The file is the reference, and so is what its manifest says, if one is there."""
    file_type = file_type_from(output.name, None, None)
    assert list(read_users(output, file_type)) == exports.expected
    if output.name.endswith(".gz"):
        assert gzip.decompress(output.read_bytes()).count(b"\n") >= USERS
    if Manifest.path_for(output).exists():
        manifest, digest = Manifest.load(Manifest.path_for(output)), digest_of(output)
        assert (manifest.user_count, manifest.sha256) == (USERS, digest.sha256)


def kill_and_resume(output: Path, exports: Exports, partitions: int, seconds: float) -> None:
    """Kill an export at random moments of as long as an undisturbed one takes, then let it end."""
    old = b"old"
    output.write_bytes(old)
    arguments = exports.arguments(output.name, partitions)
    for number in range(random.randint(1, KILLS_MAX)):
        resume = ("--resume",) if number else ()
        pid = exports.command.start(output.parent, *arguments, *resume)
        time.sleep(random.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
        if exports.command.code() == 0:
            break  # it had ended
        phase = phase_of(output, old)
        exports.hits[phase] += 1
        if output.read_bytes() != old:
            check_whole(output, exports)
    exports.command.start(output.parent, *arguments, "--resume")
    assert exports.command.code() == 0
    check_whole(output, exports)


def one_after_another(exports: Exports, folder: Path, name: str, partitions: int) -> float:
    """Return how long an undisturbed export takes."""
    begin = time.monotonic()
    exports.command.start(folder, *exports.arguments(name, partitions))
    assert exports.command.code() == 0
    return time.monotonic() - begin


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rounds", [1, pytest.param(15, marks=pytest.mark.long)])
@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("name", [*NAMES, *ZSTD])
def test_killed_at_any_moment(
    exports: Exports, faults: FaultReport, tmp_path: Path, name: str, partitions: int, rounds: int
) -> None:
    """Until the end the old file stays, or the new one is there whole; at the end nothing is left beside it."""
    seconds = one_after_another(exports, tmp_path, name, partitions)
    for _ in range(rounds):
        with faults.round(f"3 SIGKILL of an export to {name.partition('.')[2]}, --resume"):
            kill_and_resume(tmp_path / name, exports, partitions, seconds)
        left = {path.name for path in tmp_path.iterdir()}
        assert left <= {name, f"{name}.manifest.json"}
    where = ", ".join(f"{exports.hits[phase]} {phase}" for phase in PHASES)
    faults.notes["exports"] = f"{sum(exports.hits.values())} kills of exports: {where}"


@pytest.mark.long
def test_the_kills_fell_everywhere(exports: Exports) -> None:
    """After the rounds above: each phase was hit, and most kills fell into a running export."""
    total = sum(exports.hits.values())

    assert all(exports.hits[phase] for phase in PHASES[:3])
    assert 2 * (exports.hits[PHASES[1]] + exports.hits[PHASES[2]]) > total
