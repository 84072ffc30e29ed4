"""The step of scripts/lint that looks the locked packages up in the advisories."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from userstream_testing.repository import ROOT

# Stands in for pip-audit, whose answer depends on the day and the network: writes a report, or nothing.
_STAND_IN = """
import os, pathlib, sys
if report := os.environ["REPORT"]:
    pathlib.Path(sys.argv[sys.argv.index("--output") + 1]).write_text(report)
"""
SOUND = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "a", "skip_reason": "not on this index"}
BROKEN = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, ""),
        ([SOUND, BROKEN], 1, "b 2: CVE-1, fixed in 3"),
        ([UNKNOWN], 77, "the package index in use has no advisories"),
        (None, 77, "no advisories can be reached from here"),
    ],
)
def test_the_audit(
    tmp_path: Path, packages: list[dict[str, object]] | None, code: int, said: str
) -> None:
    """An advisory fails, with the package and the cure; without advisories the step is skipped, and says so."""
    (tmp_path / "pip_audit.py").write_text(_STAND_IN)
    report = "" if packages is None else json.dumps({"dependencies": packages})
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/audit.py"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "REPORT": report},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (code, said) == (done.returncode, done.stdout.strip())
