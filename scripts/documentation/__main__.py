"""`python -m scripts.documentation FOLDER [--watch]`: write the site's sources; then again whenever docs/ changes."""

import argparse
import sys
import time
from pathlib import Path

from scripts.documentation.navigation import REFERENCE
from scripts.documentation.reference.api import api_page
from scripts.documentation.reference.commands import commands_page
from scripts.documentation.reference.metrics import metrics_page
from scripts.documentation.reference.python_client import python_page
from scripts.documentation.reference.settings import settings_page
from scripts.documentation.reference.statuses import statuses_page
from scripts.documentation.repository import ROOT
from scripts.documentation.sources import DeadLinksError, write_sources

_MAKERS = (python_page, api_page, commands_page, settings_page, metrics_page, statuses_page)
_POLL_SECONDS = 0.5


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/docs")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--watch", action="store_true")
    options = parser.parse_args()
    # Once: a server is started for one of them.
    reference = {page: make() for page, make in zip(REFERENCE, _MAKERS, strict=True)}
    if not _write(options.folder, reference):
        return 1
    while options.watch:
        _wait_for_change()
        _write(options.folder, reference)
    return 0


def _write(folder: Path, reference: dict[str, str]) -> bool:
    try:
        write_sources(folder, reference)
    except DeadLinksError as error:
        print(error, file=sys.stderr)
        return False
    return True


def _wait_for_change() -> None:
    before = _changed_at()
    while _changed_at() == before:
        time.sleep(_POLL_SECONDS)


def _changed_at() -> float:
    return max(path.stat().st_mtime for path in (ROOT / "docs").rglob("*"))


if __name__ == "__main__":
    sys.exit(main())
