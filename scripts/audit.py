"""Look the locked packages up in pip-audit's advisories; exit 77 where those cannot be reached."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["main"]

SKIPPED = 77
_LOCK = "requirements/dev.txt"
_LIMIT_SECONDS = 90
_OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner=off", "--timeout=5")


def main() -> int:
    """Print one line for each advisory, or why there is nothing to say; return the exit code."""
    try:
        packages = audit()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return _say("no advisories can be reached from here", SKIPPED)
    # A package index without advisories answers too: it knows none of the packages.
    if all("skip_reason" in package for package in packages):
        return _say("the package index in use has no advisories", SKIPPED)
    advisories = [
        f"{package['name']} {package['version']}: {advisory['id']},"
        f" fixed in {', '.join(advisory['fix_versions']) or 'no version yet'}"
        for package in packages
        for advisory in package.get("vulns", ())
    ]
    return _say("\n".join(advisories), 1) if advisories else 0


def audit() -> list[dict[str, Any]]:
    """Run pip-audit over the lock and return its report, one entry a package.

    Raises:
        OSError: It wrote no report.
        ValueError: What it wrote is not a report.
        subprocess.TimeoutExpired: It gave no answer in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip_audit", *_OPTIONS, "--format=json", "-r", _LOCK]
        subprocess.run(
            [*command, "--output", str(report)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_LIMIT_SECONDS,
        )
        packages: list[dict[str, Any]] = json.loads(report.read_text("utf-8"))["dependencies"]
        return packages


def _say(text: str, code: int) -> int:
    sys.stdout.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
