"""Clients that mean harm, at their worst, beside a caller who only wants an answer.

Each attack runs in a process of its own, as it would in life. The caller makes small calls over one
connection; their 99th percentile during the attack is held against the one before it.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import stub_for
from userstream_testing.floods import ATTACKS
from userstream_testing.server_process import ServerProcess, serving

CALM_FACTOR = 5
CALM_LEAST_SECONDS = 0.010
"""A calm p99 of a millisecond or two would make a law of the scheduler's noise."""
ROUNDS = 3
"""Other programs on the machine disturb a round; a defect disturbs them all."""
CALLS = 400
SCALES = [
    pytest.param(0.1, id="short"),
    pytest.param(1.0, id="full", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
]


@contextmanager
def attacked(server: ServerProcess, attack: str, scale: float) -> Iterator[subprocess.Popen[str]]:
    """Yield the attacking process once it has said that it is at work."""
    command = [sys.executable, "-m", "userstream_testing.floods", attack]
    process = subprocess.Popen(
        [*command, str(server.port), str(scale)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline() == "at work\n"
            yield process
        finally:
            process.stdin.close()  # it ends with its input
            said = process.stdout.read()
            assert process.wait(30) == 0
            print(f"\n{attack}: {said.strip()}")  # noqa: T201 - shown by -s


def p99_seconds(stub: Any, count: int = CALLS) -> float:
    """Return the 99th percentile of small calls, all of which must succeed."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        list(stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=20))
        took.append(time.perf_counter() - began)
    return sorted(took)[round(count * 0.99) - 1]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_others_are_served(reader_url: str, tmp_path: Path, attack: str, scale: float) -> None:
    """During each attack another caller's p99 stays within 5 times that of calm, and the server lives."""
    with (
        serving(reader_url, tmp_path, STREAMS_MAX=2000, STREAMS_PER_CALLER_MAX=1500) as server,
        stub_for(server.target) as stub,
    ):
        p99_seconds(stub, 100)  # warms up
        within = any(stays_within(server, stub, attack, scale) for _ in range(ROUNDS))
        assert server.events("defect") == []

    assert within


def stays_within(server: ServerProcess, stub: Any, attack: str, scale: float) -> bool:
    """Hold the p99 of one round under attack against that of the calm before it; print both."""
    calm = p99_seconds(stub)
    with attacked(server, attack, scale):
        stormy = p99_seconds(stub)
    times = stormy / calm
    print(f"p99 {calm * 1000:.1f} ms calm, {stormy * 1000:.1f} attacked: x{times:.1f}")  # noqa: T201
    return stormy < CALM_FACTOR * max(calm, CALM_LEAST_SECONDS)
