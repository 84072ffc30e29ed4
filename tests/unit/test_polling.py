"""gRPC's core gets its environment before it loads, which is the only time that it looks."""

import os
import subprocess
import sys

import pytest
from userstream_server.grpc_internals import GRPC_EXPERIMENTS

pytestmark = pytest.mark.slow  # starts a process per test

_PROGRAM = """
import os, sys

class Watch:
    def find_spec(self, name, *_):
        if name == "grpc._cython":
            print(os.environ.get("GRPC_EXPERIMENTS"))

sys.meta_path.insert(0, Watch())
import userstream_server.__main__
"""


@pytest.mark.parametrize(
    ("given", "expected"), [({}, GRPC_EXPERIMENTS), ({"GRPC_EXPERIMENTS": "-own"}, "-own")]
)
def test_grpc_finds_its_environment(given: dict[str, str], expected: str) -> None:
    """Ours is there when gRPC's core is imported, unless the process was started with another."""
    kept = {k: v for k, v in os.environ.items() if k != "GRPC_EXPERIMENTS"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=kept | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert [expected] == done.stdout.split()
