"""`bench`: figures of a real server, in a run that ends by itself."""

import json
import time
from pathlib import Path

import pytest
from userstream_testing.command import run_here, run_on_terminal
from userstream_testing.scripted_server import ScriptedServer
from userstream_testing.server_process import serving


@pytest.mark.slow
def test_figures(tmp_path: Path) -> None:
    """Four measures; each reads for about as long as was said, with as many callers, and no call is left behind."""
    with serving(f"sqlite:///{tmp_path}/users.db", tmp_path) as server:
        began = time.monotonic()
        options = ("--seconds", "0.3", "--callers", "2", "--format", "json")
        ran = run_here("bench", *options, "--target", server.target, cwd=tmp_path)
        taken = time.monotonic() - began

    first, *rates = (json.loads(line) for line in ran.out.splitlines())
    assert (0, "") == (ran.code, ran.err)
    assert "first user" == first["measure"]
    assert 0 < first["median_seconds"] <= first["p95_seconds"]
    assert ["stream", "batch", "average-age"] == [rate["measure"] for rate in rates]
    for rate in rates:
        assert rate["users"] > 0
        assert rate["passes"] >= 2
        assert rate["seconds"] >= 0.3
        assert rate["client_cpu_seconds"] > 0
    assert taken < 30


@pytest.mark.slow
def test_on_a_terminal(tmp_path: Path) -> None:
    """A line a measure, with a hint where the table is too small to say much."""
    with serving(f"sqlite:///{tmp_path}/users.db", tmp_path) as server:
        ran = run_on_terminal("bench", "--seconds", "0.5", "--target", server.target, cwd=tmp_path)

    assert 0 == ran.code
    assert " ms, the median of " in ran.out
    assert 3 == ran.out.count(" s of CPU for a million users, ")
    assert "mostly the cost of calls" in ran.out


def test_no_server(tmp_path: Path) -> None:
    """As with every command."""
    with ScriptedServer() as server:
        target = server.target
    ran = run_here("bench", "--seconds", "0.1", "--target", target, cwd=tmp_path)

    assert (1, "") == (ran.code, ran.out)
    assert "nothing listens there" in ran.err


def test_it_is_bounded(tmp_path: Path) -> None:
    """Nobody can ask for an hour, or for a thousand streams."""
    for option in (("--seconds", "61"), ("--callers", "17")):
        assert 2 == run_here("bench", *option, cwd=tmp_path).code
