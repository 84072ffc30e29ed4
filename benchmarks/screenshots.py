"""Pictures of a real Prometheus's own pages, taken by a real browser without a window."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

__all__ = ["BrowserNotFoundError", "alerts_page", "find_browser", "graph_page", "screenshot"]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
_SECONDS = 60


class BrowserNotFoundError(RuntimeError):
    """There is no browser here; the message says what to do."""


def find_browser() -> str:
    """Return the browser's path.

    Raises:
        BrowserNotFoundError: There is none.
    """
    for name in _BROWSERS:
        if path := shutil.which(name):
            return path
    raise BrowserNotFoundError("no Chromium on PATH; on Debian: apt-get install chromium")


def alerts_page(url: str) -> str:
    """Return the address of a Prometheus's page of alerts."""
    return f"{url}/classic/alerts"


def graph_page(url: str, expressions: Sequence[str], *, seconds: int) -> str:
    """Return the address of a Prometheus's page with a graph for each expression, over the last seconds."""
    fields: dict[str, str] = {}
    for number, expression in enumerate(expressions):
        fields |= {
            f"g{number}.expr": expression,
            f"g{number}.tab": "0",
            f"g{number}.range_input": f"{seconds}s",
            f"g{number}.step_input": "1",
        }
    return f"{url}/classic/graph?{urlencode(fields)}"


def screenshot(browser: str, url: str, file: Path, *, width: int, height: int) -> None:
    """Write what a browser shows of a page into a PNG file, in its own, new profile.

    Args:
        browser: See `find_browser`.
        url: The page.
        file: The picture.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
    """
    with tempfile.TemporaryDirectory(prefix="us-browser-") as profile:
        subprocess.run(
            [
                browser,
                *_OPTIONS,
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                # The page asks for its figures once it is there; its clock runs ahead until it has them.
                "--virtual-time-budget=10000",
                f"--screenshot={file}",
                url,
            ],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
