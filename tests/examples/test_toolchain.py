"""scripts/toolchain, which says how to build the examples where their packages are not installed."""

import subprocess
import sys

from userstream_testing.repository import ROOT
from userstream_testing.toolchains import TOOLCHAINS


def test_an_unknown_toolchain() -> None:
    """Exit code 2 and a line with the names."""
    command = [sys.executable, str(ROOT / "scripts/toolchain"), "cobol"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (2, "") == (done.returncode, done.stdout)
    assert f"usage: scripts/toolchain {'|'.join(TOOLCHAINS)}\n" == done.stderr
