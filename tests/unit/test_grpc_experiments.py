"""The experiments of gRPC's core: set before it loads, which is the only time that it looks, and known to it."""

import os
import subprocess
import sys

import pytest
from userstream_server.grpc_internals import GRPC_EXPERIMENTS

pytestmark = pytest.mark.slow  # starts a process per test

_SHOW_ENVIRONMENT = """
import os, sys

class Watch:
    def find_spec(self, name, *_):
        if name == "grpc._cython":
            print(os.environ.get("GRPC_EXPERIMENTS"))

sys.meta_path.insert(0, Watch())
import userstream_server.__main__
"""


_START_A_SERVER = """
from userstream_server import grpc_internals
import grpc
from concurrent.futures import ThreadPoolExecutor

server = grpc.server(ThreadPoolExecutor(1))
server.add_insecure_port("127.0.0.1:0")
server.start()
server.stop(None)
"""


def run(program: str, given: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a program in an environment that differs from this process's only in GRPC_EXPERIMENTS."""
    kept = {k: v for k, v in os.environ.items() if k != "GRPC_EXPERIMENTS"}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=kept | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize(
    ("given", "expected"), [({}, GRPC_EXPERIMENTS), ({"GRPC_EXPERIMENTS": "-own"}, "-own")]
)
def test_grpc_finds_its_environment(given: dict[str, str], expected: str) -> None:
    """Ours is there when gRPC's core is imported, unless the process was started with another."""
    done = run(_SHOW_ENVIRONMENT, given)

    assert [expected] == done.stdout.split()


@pytest.mark.parametrize(("given", "unknown"), [({}, 0), ({"GRPC_EXPERIMENTS": "-no_such_one"}, 1)])
def test_grpc_knows_the_experiments(given: dict[str, str], unknown: int) -> None:
    """Once gRPC drops one of them, it says so at each start: then ours has no effect and can go."""
    assert unknown == run(_START_A_SERVER, given).stderr.count("Unknown experiment")
