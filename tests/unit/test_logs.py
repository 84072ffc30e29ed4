"""The log as those who read it by machine need it."""

import json
import os
import subprocess
import sys
from pathlib import Path

_WRITER = """
import structlog
from userstream_server.logs import configure_logs

configure_logs(level="info", form="json", worker=1)
log = structlog.get_logger()
for number in range(500):
    log.info("line", number=number)
"""


def test_processes_that_share_a_stream_write_whole_lines(tmp_path: Path) -> None:
    """Workers inherit one standard error; unbuffered, each write is a system call of its own."""
    shared = tmp_path / "shared.log"
    with shared.open("wb") as stream:
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", _WRITER],
                stderr=stream,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
            for _ in range(4)
        ]
        assert [writer.wait(60) for writer in writers] == [0] * 4
    lines = [json.loads(line) for line in shared.read_text(encoding="utf-8").splitlines()]
    assert sorted(line["number"] for line in lines) == sorted(list(range(500)) * 4)
